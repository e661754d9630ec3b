"""What is known before anybody did anything: rules somebody wrote, triples of a knowledge graph, category and brand.

Items are related through nodes they share. Each item of the history lights up the nodes it belongs to (its categories,
its brand, things the graph ties it to), rules lead from node to node ("Phones -> Cases"), and lit nodes light up their
items, the more popular ones more. A node says the less the more items share it. Scores are ``H A R B'``: histories by
items, items by nodes, nodes by nodes, nodes by items, so that a rule between two large categories costs one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import Abilities, FloatArray, IntArray, Queries, Rankings, Settings
from palate.core.artefact import pack_sparse, unpack_sparse
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Catalogue, Dataset
from palate.data.catalogue import category_names
from palate.data.triples import GOES_WITH, Triple, read_triples
from palate.models.fitted import need, new_items
from palate.models.linear import event_weights, known_events, recommend_in_batches

_SAID = 3
"""Examples of names that nothing here has."""

_BREAK = "\x1f"


class KnowledgeSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    file
        Rules and triples, see ``palate.data.triples``; none where empty. A name is an item id, ``category:NAME`` or
        ``brand:NAME``, or just the name of a category (its last part is enough) or of a brand.
    rule, triple, category, brand
        What a rule, a shared thing of the graph, a shared category and a shared brand are worth.
    popularity_power
        Items of a node share its light by their popularity to this power.
    decay
        What an event of the history is worth relative to the next one.
    """

    file: str = ""
    rule: float = Field(default=1.0, ge=0)
    triple: float = Field(default=0.5, ge=0)
    category: float = Field(default=0.1, ge=0)
    brand: float = Field(default=0.1, ge=0)
    popularity_power: float = Field(default=0.5, ge=0, le=2)
    decay: float = Field(default=0.8, gt=0, le=1)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "category": Span(0.0, 1.0),
                "brand": Span(0.0, 1.0),
                "popularity_power": Span(0.0, 1.5),
                "decay": Span(0.3, 1.0),
            }
        )


@dataclass(frozen=True)
class _Graph:
    """What a fit leaves.

    Parameters
    ----------
    lights
        float32 (n_items, n_nodes), which nodes an item belongs to.
    leads
        float32 (n_nodes, n_nodes), what one node's light is worth to another.
    shown
        float32 (n_items, n_nodes), an item's share of a node's light.
    names
        Of the nodes.
    """

    lights: sparse.csr_matrix
    leads: sparse.csr_matrix
    shown: sparse.csr_matrix
    names: tuple[str, ...]


class Knowledge:
    """Recommends what rules, the graph, categories and brands tie to the history.

    Attributes
    ----------
    notes
        What of the file could not be used, in words.
    """

    name: ClassVar[str] = "knowledge"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True)

    def __init__(self, settings: KnowledgeSettings | None = None) -> None:
        self.settings = settings or KnowledgeSettings()
        self.notes: tuple[str, ...] = ()
        self._graph: _Graph | None = None

    @property
    def n_items(self) -> int:
        return int(need(self._graph, self.name).lights.shape[0])

    def fit(self, dataset: Dataset) -> Self:
        """Read the file, and tie items to nodes.

        Raises
        ------
        DataError
            The file cannot be read.
        """
        triples = read_triples(Path(self.settings.file)) if self.settings.file else []
        self._graph, self.notes = _built(dataset, triples, self.settings)
        return self

    def extend(self, catalogue: Catalogue) -> Self:
        """Serve items that came since, by their categories and brands."""
        graph = need(self._graph, self.name)
        fresh = new_items(catalogue, self.n_items)
        if not len(fresh):
            return self
        index = {name: node for node, name in enumerate(graph.names)}
        groups = _groups(catalogue, range(int(fresh[0]), len(catalogue)))
        rows = [[index[name] for name in row if name in index] for row in groups]
        more = _ones([(row, node) for row, nodes in enumerate(rows) for node in nodes], (len(rows), len(graph.names)))
        # As little as any item has: nobody chose them yet.
        least = sparse.diags(_least(graph.shown))
        self._graph = replace(
            graph,
            lights=sparse.csr_matrix(sparse.vstack([graph.lights, more]), dtype=np.float32),
            shown=sparse.csr_matrix(sparse.vstack([graph.shown, more @ least]), dtype=np.float32),
        )
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Light that reaches each item; float32 (n, n_items)."""
        graph = need(self._graph, self.name)
        history = known_events(queries.history, self.n_items)
        lit = history.matrix(self.n_items, event_weights(history, self.settings.decay)) @ graph.lights
        return np.asarray((lit @ graph.leads @ graph.shown.T).toarray(), dtype=np.float32)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event adds to each item's score; float32 (h, k)."""
        graph, history = need(self._graph, self.name), queries.history
        weights = event_weights(history, self.settings.decay)
        shares = np.zeros((len(history.items), len(items)), dtype=np.float32)
        events = np.flatnonzero(history.items < self.n_items)
        columns = np.flatnonzero((items >= 0) & (items < self.n_items))
        lit = graph.lights[history.items[events]] @ graph.leads
        block = (lit @ graph.shown[items[columns]].T).toarray()
        shares[np.ix_(events, columns)] = block * weights[events, None]
        return shares

    def arrays(self) -> Arrays:
        graph = need(self._graph, self.name)
        return {
            **pack_sparse("lights", graph.lights),
            **pack_sparse("leads", graph.leads),
            **pack_sparse("shown", graph.shown),
            "names": np.frombuffer(_BREAK.join(graph.names).encode(), dtype=np.uint8),
        }

    def restore(self, arrays: Arrays) -> Self:
        names = arrays["names"].tobytes().decode()
        matrices = (unpack_sparse(name, arrays) for name in ("lights", "leads", "shown"))
        self._graph = _Graph(*matrices, tuple(names.split(_BREAK)) if names else ())
        return self


def _built(dataset: Dataset, triples: Sequence[Triple], settings: KnowledgeSettings) -> tuple[_Graph, tuple[str, ...]]:
    """The graph of a catalogue and a file, and what of the file it could not use."""
    catalogue, n_items = dataset.catalogue, dataset.n_items
    groups = _groups(catalogue, range(n_items))
    nodes: dict[str, int] = {}
    member = [(item, nodes.setdefault(name, len(nodes))) for item, row in enumerate(groups) for name in row]
    resolve = _Names(catalogue, nodes)
    edges: list[tuple[int, int, float]] = []
    ties: list[tuple[int, int]] = []
    strange: list[tuple[int, str]] = []
    for triple in triples:
        left, right = resolve(triple.subject), resolve(triple.object)
        unknown = [name for name, found in ((triple.subject, left), (triple.object, right)) if found is None]
        if (triple.relation == GOES_WITH and unknown) or len(unknown) == 2:
            strange += [(triple.line, name) for name in unknown]
        elif triple.relation == GOES_WITH:
            assert left is not None and right is not None  # noqa: S101
            edges.append((left, right, settings.rule * triple.weight))
        else:
            # What both ends share: an entity of the graph where one is no item and no group, else the pair itself.
            named = triple.object if right is None else triple.subject if left is None else f"{left} {right}"
            entity = nodes.setdefault(f"{triple.relation}:{named}", len(nodes))
            ties += [(end, entity) for end in (left, right) if end is not None]
    lights = _ones([*member, *resolve.items], (n_items, len(nodes)))
    tied = _ones(ties, (len(nodes), len(nodes)))
    lights = sparse.csr_matrix((lights + lights @ tied).minimum(1), dtype=np.float32)
    own = np.array([_worth(name, settings) for name in nodes], dtype=np.float32)
    sizes = np.asarray(lights.sum(axis=0)).ravel()
    leads = sparse.diags(own / np.log2(2 + sizes)) + _weighed(edges, len(nodes))
    chosen = (1.0 + dataset.popularity) ** settings.popularity_power
    shown = sparse.csr_matrix(sparse.diags(chosen) @ lights)
    most = np.maximum(np.asarray(shown.max(axis=0).toarray()).ravel(), 1e-9)
    shown = sparse.csr_matrix(shown @ sparse.diags(1 / most), dtype=np.float32)
    return _Graph(lights, sparse.csr_matrix(leads, dtype=np.float32), shown, tuple(nodes)), _in_words(strange, settings)


class _Names:
    """Nodes by the names people write.

    Attributes
    ----------
    items
        Pairs of item and node, of items that were named.
    """

    def __init__(self, catalogue: Catalogue, nodes: dict[str, int]) -> None:
        self._ids, self._nodes = catalogue.ids, nodes
        self._short: dict[str, int] = {}
        for name, node in nodes.items():
            kind, _, rest = name.partition(":")
            for spelt in (name, rest, rest.rpartition(" > ")[2] if kind == "category" else rest):
                self._short.setdefault(spelt.casefold(), node)
        self.items: list[tuple[int, int]] = []

    def __call__(self, name: str) -> int | None:
        """The node of a name; None where nothing here is called so."""
        position = self._ids.get(name)
        if position < 0:
            return self._short.get(name.casefold())
        node = self._nodes.get(f"item:{name}")
        if node is None:
            node = self._nodes[f"item:{name}"] = len(self._nodes)
            self.items.append((position, node))
        return node


def _groups(catalogue: Catalogue, items: Iterable[int]) -> list[list[str]]:
    """Names of the nodes that each item's category and brand make it a member of."""
    categories, brands = catalogue.strings("category"), catalogue.strings("brand")
    return [
        [f"category:{name}" for name in category_names(categories[item])]
        + ([f"brand:{brands[item].casefold()}"] if brands[item] else [])
        for item in items
    ]


def _worth(name: str, settings: KnowledgeSettings) -> float:
    """What it is worth to share a node."""
    kind = name.partition(":")[0]
    return {"category": settings.category, "brand": settings.brand, "item": 0.0}.get(kind, settings.triple)


def _least(shown: sparse.csr_matrix) -> FloatArray:
    """The smallest share in each node; float32 (n_nodes,), 0 where a node has no item."""
    columns = sparse.csc_matrix(shown)
    least = np.full(columns.shape[1], np.inf)
    np.minimum.at(least, np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr)), columns.data)
    return np.where(np.isfinite(least), least, 0).astype(np.float32)


def _ones(pairs: Sequence[tuple[int, int]], shape: tuple[int, int]) -> sparse.csr_matrix:
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    matrix: Any = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    matrix.data = np.minimum(matrix.data, 1)
    return matrix


def _weighed(edges: Sequence[tuple[int, int, float]], n: int) -> sparse.csr_matrix:
    rows, columns, values = np.array(edges, dtype=np.float64).reshape(-1, 3).T
    return sparse.csr_matrix((values, (rows.astype(int), columns.astype(int))), shape=(n, n), dtype=np.float32)


def _in_words(strange: Sequence[tuple[int, str]], settings: KnowledgeSettings) -> tuple[str, ...]:
    if not strange:
        return ()
    shown = ", ".join(f"{name!r} (line {line})" for line, name in strange[:_SAID])
    more = ", ..." if len(strange) > _SAID else ""
    return (
        f"{settings.file}: {len(strange):,} names are no item, category or brand here and were left out: {shown}"
        f"{more}. A name is an item id, category:NAME or brand:NAME.",
    )
