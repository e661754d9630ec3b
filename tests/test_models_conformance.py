"""Every model keeps the laws of a recommender."""

from __future__ import annotations

from palate.core import Scorer
from palate.data import Dataset
from palate.models.als import ALS, ALSSettings
from palate.models.bilinear import Bilinear, BilinearSettings
from palate.models.bpr import BPR, BPRSettings
from palate.models.ease import EASE, EASESettings
from palate.models.interest import Interest
from palate.models.item_knn import ItemKNN, ItemKNNSettings
from palate.models.lexical import Lexical, LexicalSettings
from palate.models.popularity import Popularity, PopularitySettings
from palate.models.repeats import Repeats
from palate.models.semantic import Semantic
from palate.models.transitions import Transitions
from palate.models.user_knn import UserKNN, UserKNNSettings
from palate.testing import FakeEncoder, RecommenderConformance


class TestPopularity(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Popularity(PopularitySettings(half_life_days=90.0))


class TestItemKNNCosine(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return ItemKNN()


class TestItemKNNEuclidean(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return ItemKNN(ItemKNNSettings(similarity="euclidean"))


class TestItemKNNPearson(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return ItemKNN(ItemKNNSettings(similarity="pearson", neighbours=5))


class TestUserKNNCosine(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return UserKNN(UserKNNSettings(neighbours=10))


class TestUserKNNEuclidean(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return UserKNN(UserKNNSettings(similarity="euclidean", shrinkage=2.0))


class TestUserKNNPearson(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return UserKNN(UserKNNSettings(similarity="pearson"))


class TestEASE(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return EASE(EASESettings(regularization=5.0))


class TestALS(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return ALS(ALSSettings(factors=8, iterations=5))


class TestBPR(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return BPR(BPRSettings(factors=8, iterations=20, popularity=0.1))


class TestSemantic(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Semantic(None, FakeEncoder())


class TestBilinear(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Bilinear(BilinearSettings(dimensions=12, normalised=False), FakeEncoder())


class TestBilinearNormalised(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Bilinear(BilinearSettings(dimensions=12, normalised=True), FakeEncoder())


class TestTransitions(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Transitions()


class TestLexical(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Lexical()


class TestLexicalThatSearchesTexts(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Lexical(LexicalSettings(wishes="texts"))


class TestRepeats(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Repeats()


class TestInterest(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Interest()
