"""Sequential models: the laws of every recommender, and what is theirs alone."""

from __future__ import annotations

from palate.core import Scorer
from palate.data import Dataset
from palate.models.sequential import GRU4Rec, SASRec, Sequential, SequentialSettings
from palate.testing import FakeEncoder, RecommenderConformance

SMALL = {"width": 32, "blocks": 1, "epochs": 3, "cells": 256}


class TestSequential(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Sequential(SequentialSettings(**SMALL), FakeEncoder())


class TestSASRec(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return SASRec(SequentialSettings(**SMALL, text=False, attributes=False))


class TestGRU4Rec(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return GRU4Rec(SequentialSettings(**SMALL, text=False, attributes=False))
