"""Generative retrieval: the laws of every recommender, ids that exist, the search for them."""

from __future__ import annotations

from typing import Any

from palate.core import Scorer
from palate.data import Dataset
from palate.language.semantic_ids import SemanticIdSettings
from palate.models.generative import Generative, GenerativeSettings
from palate.testing import FakeEncoder, RecommenderConformance

SMALL: dict[str, Any] = {
    "width": 32,
    "blocks": 1,
    "epochs": 3,
    "cells": 256,
    "ids": SemanticIdSettings(codes=8, size=16),
    "written_ids": SemanticIdSettings(kind="residual", codes=3, size=8),
}


class TestParallel(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Generative(GenerativeSettings(**SMALL), FakeEncoder())


class TestAutoregressive(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Generative(GenerativeSettings(**SMALL, decoder="autoregressive"), FakeEncoder())


class TestParallelHybrid(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Generative(GenerativeSettings(**SMALL, hybrid=True), FakeEncoder())


class TestAutoregressiveHybrid(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        own = GenerativeSettings(**SMALL, decoder="autoregressive", hybrid=True, behaviour=0.5)
        return Generative(own, FakeEncoder())
