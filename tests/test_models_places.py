"""The next place: laws, a town of routine, bad data, real check-ins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from palate.core import Float64Array, Histories, Queries, Scorer, UsageError
from palate.data import Dataset, clock
from palate.data.splits import ask_last_of_trips, trip_quantile, trips
from palate.measure import accuracy
from palate.models.places import Places
from palate.models.repeats import Repeats
from palate.models.whereabouts.asked import Asked
from palate.models.whereabouts.settings import PlacesSettings
from palate.models.whereabouts.table import names
from palate.testing import RecommenderConformance
from tests.conftest import shared_data
from tests.places_world import DAY, HOUR, LONDON, MONDAY, town

SMALL: dict[str, Any] = {"questions": 1200, "folds": 2, "trees": 40, "minimum_leaf": 10, "zone": "Europe/London"}


class TestPlaces(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Places(PlacesSettings(questions=200, trees=20, minimum_leaf=5))


class TestPlacesOfATown(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Places(PlacesSettings(**{**SMALL, "questions": 300, "trees": 10}))

    def dataset(self) -> Dataset:
        return TOWN


TOWN = town()


@pytest.fixture(scope="module")
def model() -> Places:
    return Places(PlacesSettings(**SMALL)).fit(TOWN)


def _asked(person: int, when: float, where: Float64Array | None = None) -> Queries:
    user = TOWN.user_ids.position(f"p{person:02d}")
    history = TOWN.sequences.take(np.array([user], dtype=np.int32))
    history = history.where(history.times < when)
    return Queries(history, k=3, mask_seen=False, when=np.array([when]), where=where)


def _named(model: Places, queries: Queries) -> list[str]:
    return TOWN.item_ids.externals(model.recommend(queries).row(0))


@pytest.mark.parametrize("person", [0, 7, 23])
def test_people_are_where_they_usually_are_at_that_hour(model: Places, person: int) -> None:
    street, number = person % 5, person // 5
    tuesday = MONDAY + 36 * DAY
    assert _named(model, _asked(person, tuesday + 7.2 * HOUR))[0] == f"home{street}-{number}"
    assert _named(model, _asked(person, tuesday + 9.2 * HOUR))[0] == f"office{street}-{number % 2}"
    assert _named(model, _asked(person, tuesday + 19.2 * HOUR))[0] == f"home{street}-{number}"
    assert _named(model, _asked(person, tuesday + 3 * DAY + 21.2 * HOUR))[0] == f"bar{street}-0"


def test_the_answer_depends_on_where_the_asker_is(model: Places) -> None:
    """Somebody nobody knows, on a Friday night: the bar around the corner comes before those of other streets."""
    friday = np.array([MONDAY + 39 * DAY + 21.2 * HOUR])
    for street in (0, 2, 4):
        here = np.array([[LONDON[0] + 0.09 * street + 0.002, LONDON[1] + 0.002]])
        queries = Queries(Histories.empty(1), mask_seen=False, when=friday, where=here)
        scores = model.score(queries)[0]
        bars = [scores[TOWN.item_ids.position(f"bar{other}-0")] for other in range(5)]
        assert int(np.argmax(bars)) == street


def test_a_person_nobody_has_seen_is_known_by_what_they_did(model: Places) -> None:
    home = TOWN.item_ids.position("home3-2")
    times = [MONDAY + day * DAY + 19.3 * HOUR for day in range(3)]
    stranger = Queries(Histories.of([[home] * 3], [times]), k=1, mask_seen=False, when=np.array([times[-1] + DAY]))
    assert model.recommend(stranger).row(0).tolist() == [home]


def test_better_than_coming_back_to_what_is_usual(model: Places) -> None:
    fold = ask_last_of_trips(TOWN, trip_quantile(TOWN, 0.8))
    queries = replace(fold.queries, mask_seen=False)
    ours = Places(PlacesSettings(**SMALL)).fit(fold.dataset).recommend(queries).items
    theirs = Repeats().fit(fold.dataset).recommend(queries).items
    best = [accuracy(items, fold.targets, cutoffs=(1,))["hit@1"].mean() for items in (ours, theirs)]
    assert best[0] > best[1] + 0.05
    assert best[0] > 0.9


def test_data_without_coordinates_times_or_enough_visits(model: Places) -> None:
    for data in (town(mapped=False), town(times=False), town(people=5, weeks=1)):
        fitted = Places(PlacesSettings(**SMALL)).fit(data)
        answer = fitted.recommend(data.queries(mask_seen=False, k=3))
        assert (answer.items >= 0).all()
        assert np.isfinite(fitted.score(data.queries(mask_seen=False))).all()


def test_one_visit_only() -> None:
    data = town(people=5, weeks=1)
    single = data.only(np.arange(data.n_events) == 0)
    answer = Places().fit(single).recommend(data.queries(mask_seen=False, k=3))
    assert (answer.items >= 0).all()


def test_a_zone_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="not a time zone"):
        Places(PlacesSettings(zone="Mars/Olympus")).fit(town(people=5, weeks=1))


def test_a_point_that_is_not_on_earth_is_refused(model: Places) -> None:
    with pytest.raises(UsageError, match="latitude and longitude in degrees, in this order"):
        model.score(_asked(0, MONDAY + 30 * DAY, np.array([[116.4, 39.9]])))


def test_where_in_the_question_moves_the_sun_clock(model: Places) -> None:
    assert model._state is not None
    places = model._state.places
    here = np.array([[40.7, -74.0]])
    asked = Asked.of(_asked(0, MONDAY + 30 * DAY + 17 * HOUR, here), places, PlacesSettings())
    assert clock.hour_of_day(asked.when)[0] == pytest.approx(12.0)
    assert (asked.lat[0], asked.lon[0]) == (40.7, -74.0)


def test_columns_have_names_of_their_own() -> None:
    assert len(set(names())) == len(names())


def test_trips_end_at_gaps_of_a_day() -> None:
    sequences = TOWN.sequences
    outings = trips(TOWN)
    assert outings.indptr[-1] == len(sequences.items)
    for outing in (0, len(outings) // 2, len(outings) - 1):
        visits = outings[outing]
        assert len(set(sequences.rows[visits].tolist())) == 1
        assert (np.diff(sequences.times[visits]) < DAY).all()
    between = outings.indptr[1:-1]
    same = sequences.rows[between] == sequences.rows[between - 1]
    assert (np.diff(sequences.times)[between - 1][same] >= DAY).all()


def test_what_is_learnt_from_lies_before_what_is_asked() -> None:
    begin = trip_quantile(TOWN, 0.9)
    fold = ask_last_of_trips(TOWN, begin)
    assert len(fold)
    assert fold.dataset.events["time"].to_numpy().max() < begin
    assert fold.queries.when is not None
    assert (fold.queries.when >= begin).all()
    newest = fold.queries.history.times[fold.queries.history.indptr[1:] - 1]
    assert (newest <= fold.queries.when).all()
    assert (fold.queries.when - newest < DAY).all()


def test_real_check_ins() -> None:
    data = Dataset.load(shared_data("nyc"))
    begin = trip_quantile(data, 0.9)
    fold = ask_last_of_trips(data, begin)
    some = fold.take(np.arange(0, len(fold), 4, dtype=np.int32))
    settings = PlacesSettings(questions=4000, folds=1, warm=0.7, trees=60)
    queries = replace(some.queries, mask_seen=False)
    answer = Places(settings).fit(fold.dataset).recommend(queries)
    assert accuracy(answer.items, some.targets, cutoffs=(1,))["hit@1"].mean() > 0.32
