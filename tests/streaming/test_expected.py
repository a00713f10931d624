"""What is known of the streams that somebody counts on."""

from __future__ import annotations

from exporter.streaming.expected import Expected, Inventory, Watched, watched, with_watched
from exporter.streaming.fold import fold
from exporter.streaming.state import Query, State, decoded, encoded
from tests.streaming.rings import BEGINNING, Ring, looked

NOW = BEGINNING + 100


def test_watched() -> None:
    """Of each expected query, in the order of their names' list: whether it runs, and its last sign of life, however old."""
    ring = Ring()
    ring.now = BEGINNING + 10
    ring.started_query("orders", run="a")
    ring.started_query("nightly", run="b")
    ring.now = BEGINNING + 20
    ring.terminated("nightly", run="b")
    state = fold(State(since=BEGINNING), looked(NOW, ring.answer()))
    named = (
        Expected("etl", "nightly", 3600.0),
        Expected("etl", "orders"),
        Expected("etl", "late"),
        Expected("other", "orders"),
    )

    state = with_watched(state, [("etl", "orders"), ("etl", "late")], NOW)

    assert watched(named, state) == Inventory(
        (
            Watched("etl", "nightly", 3600.0, active=False, last_signal=BEGINNING + 10, since=BEGINNING, ended_at=NOW),
            Watched("etl", "orders", None, active=True, last_signal=BEGINNING + 10, since=NOW),
            Watched("etl", "late", None, active=False, last_signal=None, since=NOW),
            Watched("other", "orders", None, active=False, last_signal=None, since=BEGINNING),
        )
    )


def test_seen_without_a_signal() -> None:
    """A query of which only the end was told was seen then, and is not said to have never been seen."""
    query = Query("etl", "orders", "id", "run", "e", active=False, ended_at=NOW)
    state = State(since=BEGINNING, queries={("etl", "orders"): query})

    assert [one.last_signal for one in watched((Expected("etl", "orders"),), state).queries] == [NOW]


def test_watched_since() -> None:
    """A stream is watched from when it was first named, whatever is named later; one that is named no more is forgotten."""
    first = with_watched(State(since=BEGINNING), [("etl", "one")], NOW)
    second = with_watched(first, [("etl", "two"), ("etl", "one")], NOW + 50)
    third = with_watched(second, [("etl", "two")], NOW + 60)

    assert second.watched_since == {("etl", "one"): NOW, ("etl", "two"): NOW + 50}
    assert third.watched_since == {("etl", "two"): NOW + 50}
    assert with_watched(third, [("etl", "two")], NOW + 70) is third
    assert decoded(encoded(third)) == third
