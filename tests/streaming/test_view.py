"""What stays how long: one test for each row of the table in docs/architecture.md."""

from __future__ import annotations

import pytest

from exporter import collectors
from exporter.errors import Reason
from exporter.streaming.fold import fold
from exporter.streaming.state import State, decoded, encoded
from exporter.streaming.view import STALE_SECONDS, views, with_counters_of
from tests.streaming.rings import BEGINNING, Ring, looked, refused

NOW = BEGINNING + 100
KEEP = 600.0

OOM = "java.lang.OutOfMemoryError: Java heap space"


@pytest.fixture
def ring() -> Ring:
    ring = Ring()
    ring.facts["jvm"] = {"threads": 7}
    ring.started_query("orders")
    ring.progress("orders", 0, rows=10)
    ring.running(("orders", "run-1"))
    return ring


def page(state: State, now: float) -> dict[str, float]:
    """Values of a few telling series: `name`, or `name{last label}`."""
    found: dict[str, object] = {}
    for view in views(state, now, KEEP).values():
        for collector in collectors.APPLICATION:
            for metric, labels, value in collector.samples(view):
                own = labels[len([name for name in metric.labels if name in ("app", "query")]) :]
                found[metric.name + (f"{{{own[-1]}}}" if own else "")] = value
    names = (
        "spark_streaming_query_active",
        "spark_streaming_query_status{waiting_for_trigger}",
        "spark_streaming_input_rows_total{0}",
        "spark_streaming_batch_id",
        "spark_streaming_last_signal_timestamp_seconds",
        "spark_driver_reachable",
        "spark_driver_last_contact_timestamp_seconds",
        "spark_driver_jvm_threads",
        "spark_streaming_events_lost_total",
        *(f"spark_streaming_query_terminations_total{{{how}}}" for how in ("stopped", "finished", "driver_lost", "oom")),
    )
    short: dict[str, float] = {
        name: number
        for name in names
        if isinstance(number := found.get(name), int | float) and (number or "terminations" not in name)
    }
    return {name.removeprefix("spark_"): value for name, value in short.items()}


ALIVE = {
    "streaming_query_active": 1,
    "streaming_query_status{waiting_for_trigger}": 1,
    "streaming_input_rows_total{0}": 10,
    "streaming_batch_id": 0,
    "streaming_last_signal_timestamp_seconds": BEGINNING + 1,
    "driver_reachable": 1,
    "driver_last_contact_timestamp_seconds": NOW,
    "driver_jvm_threads": 7,
    "streaming_events_lost_total": 0,
}
TIMES = {
    "streaming_last_signal_timestamp_seconds": BEGINNING + 1,
    "driver_reachable": 0,
    "driver_last_contact_timestamp_seconds": NOW,
}


def ended_with(how: str, *, reachable: int | None, threads: bool) -> dict[str, float]:
    gone = {"streaming_query_status{waiting_for_trigger}", *([] if threads else ["driver_jvm_threads", "driver_reachable"])}
    rest = {name: value for name, value in ALIVE.items() if name not in gone}
    return {
        **rest,
        "streaming_query_active": 0,
        **({} if reachable is None else {"driver_reachable": reachable}),
        f"streaming_query_terminations_total{{{how}}}": 1,
    }


@pytest.fixture
def state(ring: Ring) -> State:
    return fold(State(since=BEGINNING), looked(NOW, ring.answer()))


def test_running(state: State) -> None:
    """While a query runs and its driver answers, everything is told."""
    assert page(state, NOW) == ALIVE


@pytest.mark.parametrize(
    ("trigger", "exception", "how"), [(None, None, "stopped"), ("AvailableNowTrigger", None, "finished"), (None, OOM, "oom")]
)
def test_query_ended(state: State, ring: Ring, trigger: str | None, exception: str | None, how: str) -> None:
    """A query that stopped, finished or failed: active is 0 and its status is gone at once; the rest stays for keep-ended."""
    ring.facts["queries"][0]["trigger"] = trigger
    ring.terminated("orders", exception=exception)
    state = fold(state, looked(NOW, ring.answer()))
    expected = ended_with(how, reachable=1, threads=True)

    assert page(state, NOW) == expected

    ring.running()
    state = fold(state, looked(NOW + KEEP - 1, ring.answer()))

    assert page(state, NOW + KEEP - 1) == {**expected, "driver_last_contact_timestamp_seconds": NOW + KEEP - 1}

    state = fold(state, looked(NOW + KEEP, ring.answer()))

    assert page(state, NOW + KEEP) == {
        "driver_reachable": 1,
        "driver_last_contact_timestamp_seconds": NOW + KEEP,
        "driver_jvm_threads": 7,
        "streaming_events_lost_total": 0,
    }


def test_driver_ended_cleanly(state: State, ring: Ring) -> None:
    """A driver that ended cleanly: its queries stop with it, its gauges are gone at once, its counters stay for keep-ended."""
    state = fold(state, looked(NOW, ring.answer(final=True)))

    assert page(state, NOW) == ended_with("stopped", reachable=None, threads=False)
    assert page(state, NOW + KEEP) == {}


def test_driver_killed(state: State, ring: Ring) -> None:
    """A driver that was killed: its queries are lost with it and inactive at once; the rest as after a clean end."""
    for _ in range(2):
        state = fold(state, looked(NOW, refused(ring, NOW), present=(ring,)))

    assert page(state, NOW) == ended_with("driver_lost", reachable=None, threads=False)
    assert page(state, NOW + KEEP) == {}


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.UNAUTHORIZED])
def test_driver_unreachable(state: State, ring: Ring, reason: Reason) -> None:
    """A driver that does not answer: all values stay for 60 s, then only the times, and all is back with its next answer."""
    for _ in range(5):
        state = fold(state, looked(NOW + 1, refused(ring, NOW + 1, reason), present=(ring,)))

    assert page(state, NOW + STALE_SECONDS - 1) == {**ALIVE, "driver_reachable": 0}
    assert page(state, NOW + STALE_SECONDS) == TIMES
    assert page(state, NOW + 3600) == TIMES

    state = fold(state, looked(NOW + 3601, ring.answer()))

    assert page(state, NOW + 3601) == {**ALIVE, "driver_last_contact_timestamp_seconds": NOW + 3601}


def test_exporter_restarted_with_storage(state: State, ring: Ring) -> None:
    """An exporter that comes back to its storage tells what it told before, and counts what was said meanwhile."""
    ring.progress("orders", 1, rows=5)

    state = decoded(encoded(state))

    assert page(state, NOW) == ALIVE

    state = fold(state, looked(NOW, ring.answer()))

    assert page(state, NOW) == {**ALIVE, "streaming_input_rows_total{0}": 15, "streaming_batch_id": 1}


def test_exporter_restarted_without_storage(ring: Ring) -> None:
    """An exporter that comes back to nothing tells what the driver is like, and counts from then on."""
    ring.progress("orders", 1, rows=5)

    state = fold(State(since=NOW), looked(NOW, ring.answer()))

    assert page(state, NOW) == {**ALIVE, "streaming_input_rows_total{0}": 0, "streaming_batch_id": 1}


def test_counters_outlive_their_series(state: State, ring: Ring) -> None:
    """A query that comes back long after its series were gone goes on from its old counts."""
    state = fold(state, looked(NOW, ring.answer(final=True)))
    again = Ring(epoch="b" * 32, started=NOW + 5000)
    again.progress("orders", 1, rows=5, run="run-2")

    assert page(state, NOW + 5000) == {}

    state = fold(state, looked(NOW + 5001, again.answer()))

    assert page(state, NOW + 5001)["streaming_input_rows_total{0}"] == 15


def test_not_stored(state: State, ring: Ring) -> None:
    """While the newest state can't be stored, its gauges are shown with the counters of the one that was."""
    ring.progress("orders", 1, rows=5)
    ring.started_query("new", run="run-2")
    newest = fold(state, looked(NOW, ring.answer()))

    shown = with_counters_of(newest, state)

    assert page(shown, NOW)["streaming_batch_id"] == 1
    assert shown.queries["etl", "orders"].counters == state.queries["etl", "orders"].counters
    assert shown.queries["etl", "orders"].durations == state.queries["etl", "orders"].durations
    assert shown.queries["etl", "new"].counters == {}
