"""Small plots as inline SVG: drawn here, so that a report needs no network and no plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

PALETTE = ("#2f6f4f", "#7a8ba3", "#c08a3e", "#8c6bb1", "#4a90b8", "#b5575b", "#6a9a3b", "#9a7b5f", "#55555f", "#c77fa6")
"""Colours of models in order; the first is the engine's own."""

_WIDTH, _LEFT, _RIGHT = 720, 132, 150
_ROW = 30


def intervals_chart(models: Mapping[str, Mapping[str, Any]], measure: str) -> str:
    """A bar for each model, with its 95 % interval."""
    top = max((_high(figures, measure) for figures in models.values()), default=0.0) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / top
    parts = []
    for place, (name, figures) in enumerate(models.items()):
        y, value = place * _ROW + 6, float(figures[measure])
        low, high = figures["ci95"][measure]
        colour = PALETTE[place % len(PALETTE)]
        middle = y + 9
        parts.append(
            f'<text x="{_LEFT - 10}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LEFT}" y="{y}" width="{value * scale:.1f}" height="18" rx="3" fill="{colour}"/>'
            f'<path d="M{_LEFT + low * scale:.1f} {middle}H{_LEFT + high * scale:.1f}" class="whisker"/>'
            f'<text x="{_LEFT + high * scale + 8:.1f}" y="{middle + 4}" class="value">{value:.4f}</text>'
        )
    return _svg(len(models) * _ROW + 8, "".join(parts), measure)


def slices_chart(parts: Sequence[Mapping[str, Any]], names: Sequence[str], measure: str, unit: str) -> str:
    """Groups of bars, one group a slice, one bar a model, with 95 % intervals."""
    height, base = 240, 190
    top = max((_high(part["models"][name], measure) for part in parts for name in names), default=0.0) or 1.0
    left, right = 46, 10
    group = (_WIDTH - left - right) / max(len(parts), 1)
    width = min(26.0, group * 0.8 / max(len(names), 1))
    drawn = [_grid(top, left, base)]
    for place, part in enumerate(parts):
        start = left + group * place + (group - width * len(names)) / 2
        for order, name in enumerate(names):
            figures = part["models"][name]
            value, (low, high) = float(figures[measure]), figures["ci95"][measure]
            x = start + order * width
            tip = f"{name}, {part['slice']}: {value:.4f} [{low:.4f}, {high:.4f}]"
            drawn.append(
                f'<g><title>{escape(tip)}</title><rect x="{x:.1f}" y="{base - value / top * 170:.1f}" '
                f'width="{width - 2:.1f}" height="{value / top * 170:.1f}" rx="2" '
                f'fill="{PALETTE[order % len(PALETTE)]}"/><path class="whisker" '
                f'd="M{x + width / 2 - 1:.1f} {base - low / top * 170:.1f}V{base - high / top * 170:.1f}"/></g>'
            )
        centre = left + group * (place + 0.5)
        drawn.append(
            f'<text x="{centre:.1f}" y="{base + 18}" text-anchor="middle">{escape(str(part["slice"]))}</text>'
            f'<text x="{centre:.1f}" y="{base + 34}" text-anchor="middle" class="faint">'
            f"{part['queries']:,} {escape(unit)}</text>"
        )
    return _svg(height, "".join(drawn), measure)


def trade_chart(points: Sequence[Mapping[str, Any]], across: str, up: str, label: str) -> str:
    """Points with 95 % intervals, numbered from 1; a curve joins those that no other beats in both measures."""
    left, base, top, right = 56, 236, 18, _WIDTH - 24
    spans = {name: _span([point["ci95"][name] for point in points]) for name in (across, up)}

    def x(value: float) -> float:
        low, high = spans[across]
        return left + (value - low) / (high - low) * (right - left)

    def y(value: float) -> float:
        low, high = spans[up]
        return base - (value - low) / (high - low) * (base - top)

    drawn = []
    for step in range(5):
        low, high = spans[up]
        value = low + (high - low) * step / 4
        drawn.append(
            f'<path class="grid" d="M{left} {y(value):.1f}H{right}"/><text x="{left - 6}" y="{y(value) + 4:.1f}" '
            f'text-anchor="end" class="faint">{value:.4g}</text>'
        )
        low, high = spans[across]
        value = low + (high - low) * step / 4
        drawn.append(f'<text x="{x(value):.1f}" y="{base + 18}" text-anchor="middle" class="faint">{value:.4g}</text>')
    curve = " ".join(f"{x(point[across]):.1f},{y(point[up]):.1f}" for point in _front(points, across, up))
    drawn.append(f'<polyline points="{curve}" fill="none" stroke="{PALETTE[0]}" stroke-width="2"/>')
    for place, point in enumerate(points, 1):
        centre, middle = x(point[across]), y(point[up])
        (west, east), (south, north) = point["ci95"][across], point["ci95"][up]
        colour = PALETTE[0] if point["non_dominated"] else PALETTE[1]
        tip = f"{place}: {up} {point[up]:.4f} [{south:.4f}, {north:.4f}], {across} {point[across]:.4f}"
        drawn.append(
            f'<g><title>{escape(tip)}</title><path class="whisker" style="opacity:.25" d="M{centre:.1f} {y(south):.1f}'
            f'V{y(north):.1f}M{x(west):.1f} {middle:.1f}H{x(east):.1f}"/><circle cx="{centre:.1f}" cy="{middle:.1f}" '
            f'r="4.5" fill="{colour}"/><text x="{centre + 7:.1f}" y="{middle - 6:.1f}" class="faint">{place}</text></g>'
        )
    return _svg(base + 30, "".join(drawn), label)


def _front(points: Sequence[Mapping[str, Any]], across: str, up: str) -> list[Mapping[str, Any]]:
    """The points that no other beats in both measures, from right to left."""
    front: list[Mapping[str, Any]] = []
    for point in sorted(points, key=lambda point: (-float(point[across]), -float(point[up]))):
        if not front or point[up] > front[-1][up]:
            front.append(point)
    return front


def _span(intervals: Sequence[Sequence[float]]) -> tuple[float, float]:
    """What an axis shows: everything and a little air."""
    low, high = min(own[0] for own in intervals), max(own[1] for own in intervals)
    air = 0.06 * (high - low) or 0.5
    return low - air, high + air


def legend(names: Sequence[str]) -> str:
    """Names with their colours."""
    return "".join(
        f'<span class="key"><i style="background:{PALETTE[place % len(PALETTE)]}"></i>{escape(name)}</span>'
        for place, name in enumerate(names)
    )


def _grid(top: float, left: int, base: int) -> str:
    lines = []
    for step in range(5):
        y = base - 170 * step / 4
        lines.append(
            f'<path class="grid" d="M{left} {y:.1f}H{_WIDTH - 10}"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" class="faint">{top * step / 4:.3f}</text>'
        )
    return "".join(lines)


def _high(figures: Mapping[str, Any], measure: str) -> float:
    return float(figures["ci95"][measure][1])


def _svg(height: int, body: str, label: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'
