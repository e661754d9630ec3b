"""Density maps as inline SVG: hexagons in Mercator's projection, a scale of kilometres, no tiles from a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from palate.behaviour.regions import Regions, clustering, popularity, resolution_for
from palate.core import Float64Array
from palate.data import Dataset
from palate.measure.geography import mercator

_WIDTH, _HEIGHT, _EDGE = 720, 460, 14
_SHADES = ("#e3eee7", "#bcd8c7", "#8dbda2", "#5c9d7b", "#2f7a55", "#155237")
"""From quiet to busy."""

_MOST_CELLS = 3_000
_LIKELY = 0.98
"""Share of all visits that the map must show; what lies far out is counted, not drawn."""

_ROUND = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def geography(dataset: Dataset, seed: int = 0) -> dict[str, Any]:
    """What a report says of places; empty where fewer than three items have coordinates.

    Returns
    -------
    ``resolution`` of H3, ``cells`` (``cell``, ``lat``, ``lon``, ``items``, ``visits``, ``people``; the busiest first,
    at most 3,000), ``morans_i`` (``i``, ``expected``, ``p``), ``visits`` and ``shown``: all visits, and those
    in ``cells``.
    """
    lat, lon = dataset.catalogue.column("lat"), dataset.catalogue.column("lon")
    if lat is None or lon is None or len(dataset.catalogue) - max(lat.null_count(), lon.null_count()) < 3:
        return {}
    regions = Regions.of(dataset.catalogue, resolution_for(dataset.catalogue))
    table = popularity(dataset, regions)
    wanted = table.filter(table["visits"] > 0).head(_MOST_CELLS)
    return {
        "resolution": regions.resolution,
        "cells": wanted.to_dicts(),
        "visits": int(table["visits"].sum()),
        "shown": int(wanted["visits"].sum()),
        "morans_i": clustering(dataset, regions, seed),
    }


def density_map(cells: Sequence[Mapping[str, Any]], label: str) -> str:
    """Cells coloured by the logarithm of their visits, north up.

    Parameters
    ----------
    cells
        As ``geography`` gives them.
    label
        What the map shows, for those who do not see it.
    """
    import h3

    shown = _near(cells)
    outlines = [np.array(h3.cell_to_boundary(cell["cell"])) for cell in shown]
    corners = [mercator(outline[:, 0], outline[:, 1]) for outline in outlines]
    west, east = _span([x for x, _ in corners])
    south, north = _span([y for _, y in corners])
    scale = min((_WIDTH - 2 * _EDGE) / (east - west), (_HEIGHT - 2 * _EDGE) / (north - south))
    left = (_WIDTH - scale * (east - west)) / 2
    top = (_HEIGHT - scale * (north - south)) / 2
    busiest = np.log1p(max(float(cell["visits"]) for cell in shown))
    drawn = []
    for cell, (x, y) in zip(shown, corners, strict=True):
        across, down = left + scale * (x - west), top + scale * (north - y)
        path = "L".join(f"{a:.1f} {d:.1f}" for a, d in zip(across, down, strict=True))
        shade = _SHADES[min(int(np.log1p(float(cell["visits"])) / busiest * len(_SHADES)), len(_SHADES) - 1)]
        tip = f"{cell['lat']:.4f}, {cell['lon']:.4f}: {cell['visits']:,} / {cell['people']:,} / {cell['items']:,}"
        drawn.append(
            f'<path d="M{path}Z" fill="{shade}" stroke="#fff" stroke-width=".6"><title>{escape(tip)}</title></path>'
        )
    middle = float(np.median([cell["lat"] for cell in shown]))
    drawn += [_kilometres(scale, middle), _key(busiest), _corner_labels(shown)]
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 44}" role="img" aria-label="{escape(label)}">{"".join(drawn)}</svg>'


def _near(cells: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The cells around the middle that hold nearly all visits: one visit on another continent would leave a dot."""
    lat, lon = (np.array([float(cell[name]) for cell in cells]) for name in ("lat", "lon"))
    visits = np.array([float(cell["visits"]) for cell in cells])
    inside = np.ones(len(cells), dtype=bool)
    for values in (lat, lon):
        order = np.argsort(values, kind="stable")
        run = np.cumsum(visits[order]) / visits.sum()
        edge = (1 - _LIKELY) / 4
        low = values[order][min(int(np.searchsorted(run, edge)), len(order) - 1)]
        high = values[order][min(int(np.searchsorted(run, 1 - edge)), len(order) - 1)]
        air = 0.25 * (high - low) + 1e-9
        inside &= (values >= low - air) & (values <= high + air)
    return [cell for cell, kept in zip(cells, inside, strict=True) if kept]


def _span(parts: Sequence[Float64Array]) -> tuple[float, float]:
    whole = np.concatenate(parts)
    return float(whole.min()), float(max(whole.max(), whole.min() + 1e-9))


def _kilometres(scale: float, lat: float) -> str:
    """A bar of a round length, true at the middle of the map: Mercator stretches towards the poles."""
    a_kilometre = scale / 6371.0088 / float(np.cos(np.radians(lat)))
    length = max((step for step in _ROUND if step * a_kilometre <= _WIDTH / 4), default=_ROUND[0])
    y, end = _HEIGHT + 22, _EDGE + length * a_kilometre
    return (
        f'<path d="M{_EDGE} {y - 4}V{y}H{end:.1f}V{y - 4}" class="whisker"/>'
        f'<text x="{_EDGE}" y="{y + 16}" class="faint">{length:g} km</text>'
    )


def _key(busiest: float) -> str:
    parts = []
    for place, shade in enumerate(_SHADES):
        x = _WIDTH - _EDGE - 60 * (len(_SHADES) - place)
        least = max(round(float(np.expm1(busiest * place / len(_SHADES)))), 1)
        parts.append(
            f'<rect x="{x}" y="{_HEIGHT + 14}" width="60" height="10" fill="{shade}"/>'
            f'<text x="{x}" y="{_HEIGHT + 38}" class="faint">{least:,}</text>'
        )
    return "".join(parts)


def _corner_labels(cells: Sequence[Mapping[str, Any]]) -> str:
    lat, lon = ([float(cell[name]) for cell in cells] for name in ("lat", "lon"))
    north_west = f"{max(lat):.2f}, {min(lon):.2f}"
    south_east = f"{min(lat):.2f}, {max(lon):.2f}"
    return (
        f'<text x="{_EDGE}" y="{_EDGE}" class="faint">{north_west}</text>'
        f'<text x="{_WIDTH - _EDGE}" y="{_HEIGHT}" text-anchor="end" class="faint">{south_east}</text>'
    )
