"""What a user did, in numbers and words: profile, interest and how well items fit them."""

from palate.behaviour.affinity import ItemFacts, category_affinity, item_facts, price_gap
from palate.behaviour.branch import Branch, branch
from palate.behaviour.decay import RecencySettings, recency_weights
from palate.behaviour.edits import Edits, topic_items
from palate.behaviour.features import item_features
from palate.behaviour.interest import Interest, InterestModel
from palate.behaviour.interests import InterestMap, Interests, InterestsSettings
from palate.behaviour.profile import Profiles, dataset_profiles, profiles
from palate.behaviour.telling import NamedInterest, Names, count_tokens, named, summary

__all__ = [
    "Branch",
    "Edits",
    "Interest",
    "InterestMap",
    "InterestModel",
    "Interests",
    "InterestsSettings",
    "ItemFacts",
    "NamedInterest",
    "Names",
    "Profiles",
    "RecencySettings",
    "branch",
    "category_affinity",
    "count_tokens",
    "dataset_profiles",
    "item_facts",
    "item_features",
    "named",
    "price_gap",
    "profiles",
    "recency_weights",
    "summary",
    "topic_items",
]
