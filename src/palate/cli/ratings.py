"""``palate ratings``: which rating somebody would give, and how well that proves true."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from palate.cli import console, options
from palate.cli.folder import load

if TYPE_CHECKING:
    from palate.evaluation.ratings import RatingReport

_RATINGS = """[bold]Examples[/bold]

palate ratings movies

palate ratings movies --similarity cosine --json

palate ratings movies --user u01 --items heat,alien --method user_knn

Ratings are the column [bold]value[/bold] (or rating, stars, score) of events. To rank by ratings is another matter:
palate evaluate."""

_WORDS = {
    "en": ("method", "RMSE", "MAE", "{asked:,} newest ratings, from {known:,} others; {low:g} to {high:g}"),
    "zh": ("方法", "RMSE", "MAE", "{asked:,} 条最新评分，依据其余 {known:,} 条；评分范围 {low:g} 至 {high:g}"),
}


def register(app: typer.Typer) -> None:
    app.command(epilog=_RATINGS)(ratings)


def ratings(
    folder: options.DataFolder,
    user: options.User = None,
    items: Annotated[str | None, typer.Option("--items", metavar="A,B", help="Foretell these, with --user.")] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="mean, baseline, item_knn or user_knn; with --user.")
    ] = "item_knn",
    similarity: Annotated[
        str | None, typer.Option("--similarity", metavar="NAME", help="cosine, euclidean or pearson (the default).")
    ] = None,
    columns: options.Columns = None,
    config: options.Config = None,
    language: options.Language = None,
    as_json: options.Json = False,
) -> None:
    """Foretell ratings, and measure how far off that is: RMSE and MAE with intervals, on everybody's newest rating."""
    import numpy as np

    from palate.cli.settings import settings_for
    from palate.core import UsageError
    from palate.core.space import changed
    from palate.evaluation.ratings import foretold, rating_report
    from palate.models.ratings import Ratings, RatingSettings

    chosen = options.language(language)
    wanted = options.listed(items)
    if (user is None) != (not wanted):
        raise UsageError("say whose rating of what: --user ID and --items A,B together; or neither, for the report.")
    own = changed(RatingSettings(), {} if similarity is None else {"similarity": similarity})
    dataset = load(folder, settings_for(folder, config).data, options.pairs(columns))
    if user is None:
        report = rating_report(dataset, own)
        if as_json:
            console.write_json(asdict(report))
        else:
            show(report, chosen)
        return
    places = np.array([dataset.item_ids.position(name) for name in wanted or ()], dtype=np.int32)
    asker = np.full(len(places), dataset.user_ids.position(user), dtype=np.int32)
    found = foretold(Ratings.of(dataset), asker, places, method, own).tolist()
    if as_json:
        console.write_json([{"item": name, "rating": value} for name, value in zip(wanted or (), found, strict=True)])
        return
    for name, value in zip(wanted or (), found, strict=True):
        console.say(f"{name}: {value:.2f}")


def show(report: RatingReport, language: options.Spoken = "en") -> None:
    """A line a method."""
    *head, title = _WORDS[language]
    rows = [
        [method, *(f"{own.estimate:.4f} [{own.low:.4f}, {own.high:.4f}]" for own in measures.values())]
        for method, measures in report.measures.items()
    ]
    low, high = report.scale
    console.table(title.format(asked=report.asked, known=report.known, low=low, high=high), head, rows)
