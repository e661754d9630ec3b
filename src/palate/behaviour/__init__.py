"""What a user did, in numbers and words: profile, interest and how well items fit them."""

from palate.behaviour.affinity import ItemFacts, category_affinity, item_facts, price_gap
from palate.behaviour.branch import Branch, branch
from palate.behaviour.decay import RecencySettings, recency_weights
from palate.behaviour.features import item_features
from palate.behaviour.interest import Interest, InterestModel
from palate.behaviour.profile import Profiles, dataset_profiles, profiles

__all__ = [
    "Branch",
    "Interest",
    "InterestModel",
    "ItemFacts",
    "Profiles",
    "RecencySettings",
    "branch",
    "category_affinity",
    "dataset_profiles",
    "item_facts",
    "item_features",
    "price_gap",
    "profiles",
    "recency_weights",
]
