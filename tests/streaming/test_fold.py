"""Counters are counted once an event, whatever happens to the exporter, the driver and what lies between."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.errors import Reason
from exporter.streaming import driver, metrics
from exporter.streaming.fold import MAX_APPS, MAX_DRIVERS, MAX_LAST_FAILURES, MAX_QUERIES, fold
from exporter.streaming.observation import Failed
from exporter.streaming.state import App, Failure, Query, State, decoded, encoded, ended, positions
from tests.streaming.rings import BEGINNING, Ring, looked, query_id, refused

NOW = BEGINNING + 100


def counted(state: State, metric: Any, *labels: str, app: str = "etl", query: str = "orders") -> float | None:
    return state.queries[app, query].counters.get((metric.name, *labels))


def of_app(state: State, metric: Any, *labels: str, app: str = "etl") -> float | None:
    return state.apps[app].counters.get((metric.name, *labels))


@pytest.fixture
def ring() -> Ring:
    return Ring()


@pytest.fixture
def state() -> State:
    return State(since=BEGINNING)


def test_first_event_zeroes(state: State, ring: Ring) -> None:
    """From a query's first event on its outcomes, batches and rows stand at 0."""
    ring.started_query("orders")

    state = fold(state, looked(NOW, ring.answer()))

    assert state.queries["etl", "orders"].counters == {
        ("spark_streaming_query_starts_total",): 1,
        ("spark_streaming_query_failures_total",): 0,
        ("spark_streaming_query_terminations_total", "stopped"): 0,
        ("spark_streaming_query_terminations_total", "finished"): 0,
        ("spark_streaming_query_terminations_total", "driver_lost"): 0,
        ("spark_streaming_batches_total", "data"): 0,
        ("spark_streaming_batches_total", "no_data"): 0,
        ("spark_streaming_idle_signals_total",): 0,
        ("spark_streaming_batches_unobserved_total",): 0,
        ("spark_streaming_input_rows_total", "0"): 0,
    }


def test_counts_once(state: State, ring: Ring) -> None:
    """An event that is answered again is not counted again."""
    ring.started_query("orders")
    ring.progress("orders", 0, rows=10)
    ring.idle("orders")

    for _ in range(3):
        state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.INPUT_ROWS, "0") == 10
    assert counted(state, metrics.BATCHES, "data") == 1
    assert counted(state, metrics.IDLE_SIGNALS) == 1
    assert counted(state, metrics.STARTS) == 1
    assert positions(state) == {ring.epoch: 3}


def test_the_state_before_stays(state: State, ring: Ring) -> None:
    """A fold leaves the state it began with as it was."""
    ring.started_query("orders")
    before = fold(state, looked(NOW, ring.answer()))
    frozen = encoded(before)
    ring.progress("orders", 0)
    ring.terminated("orders", exception="java.lang.OutOfMemoryError: Java heap space")

    fold(before, looked(NOW, ring.answer(), refused(ring, NOW)))

    assert encoded(before) == frozen


def test_pages_are_one_stream(state: State, ring: Ring) -> None:
    """Events that come in several answers count as if they had come in one, and nothing between them is lost."""
    for batch in range(10):
        ring.progress("orders", batch, rows=1)
    whole = fold(state, looked(NOW, ring.answer()))

    for after in range(0, 10, 3):
        state = fold(state, looked(NOW, ring.answer(after, at_most=3)))

    assert state == whole
    assert of_app(state, driver.EVENTS_LOST) == 0


def test_gaps_are_lost_events(state: State, ring: Ring) -> None:
    """Every gap in the numbers is counted: before, between and after the events that came."""
    ring.lose(2)
    ring.progress("orders", 0)
    ring.lose(3)
    ring.progress("orders", 4)
    ring.lose(1)

    state = fold(state, looked(NOW, ring.answer()))

    assert of_app(state, driver.EVENTS_LOST) == 6
    assert counted(state, metrics.UNOBSERVED) == 3
    assert positions(state) == {ring.epoch: 8}


def test_pushed_out(state: State) -> None:
    """What a full ring pushed out before it was read is counted as lost, exactly."""
    ring = Ring(room=4)
    for batch in range(10):
        ring.progress("orders", batch, rows=1)

    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.INPUT_ROWS, "0") == 4
    assert of_app(state, driver.EVENTS_LOST) == 6


def test_unreadable_event(state: State, ring: Ring) -> None:
    """A bad event costs that event and a counter; the ones around it count, and it is not lost besides."""
    ring.progress("orders", 0, rows=5)
    ring.say_text('{"seq": 2, "atMs": 1, "kind": "progress", "event": {"id": 7}}')
    ring.progress("orders", 1, rows=5)

    state = fold(state, looked(NOW, ring.answer()))
    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.INPUT_ROWS, "0") == 10
    assert of_app(state, driver.EVENTS_UNREADABLE) == 1
    assert of_app(state, driver.EVENTS_LOST) == 0


def test_unreadable_event_without_number(state: State, ring: Ring) -> None:
    """An event whose number can't be read is told as unreadable, and its number as lost with the next."""
    ring.say_text('{"kind": "progress"}')
    ring.progress("orders", 1, rows=5)

    state = fold(state, looked(NOW, ring.answer()))

    assert of_app(state, driver.EVENTS_UNREADABLE) == 1
    assert of_app(state, driver.EVENTS_LOST) == 1


def test_ring_older_than_the_exporter(state: State) -> None:
    """A ring that began before us, and of which no position is stored, sets gauges and adds nothing; what follows counts."""
    ring = Ring(started=BEGINNING - 50)
    ring.started_query("orders")
    ring.progress("orders", 6, rows=100)

    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.INPUT_ROWS, "0") == 0
    assert counted(state, metrics.STARTS) == 0
    assert state.queries["etl", "orders"].gauges[(metrics.BATCH_ID.name,)] == 6
    assert of_app(state, driver.EVENTS_LOST) == 0

    ring.progress("orders", 7, rows=3)
    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.INPUT_ROWS, "0") == 3


def test_old_ring_end_is_dated(state: State) -> None:
    """A query that ended before we knew of its driver ended then, not when we looked."""
    ring = Ring(started=BEGINNING - 50)
    ring.started_query("orders")
    ring.now = BEGINNING - 40
    ring.terminated("orders")

    state = fold(state, looked(NOW, ring.answer()))

    assert state.queries["etl", "orders"].ended_at == BEGINNING - 40
    assert counted(state, metrics.TERMINATIONS, "stopped") == 0


def test_old_application_end_is_dated(state: State) -> None:
    """An application that ended before our time ended then, with what still ran in it, and adds nothing."""
    ring = Ring(started=BEGINNING - 50)
    ring.started_query("orders")
    ring.now = BEGINNING - 40

    state = fold(state, looked(NOW, ring.answer(final=True)))

    assert state.drivers[ring.epoch].ended_at == BEGINNING - 40
    assert state.queries["etl", "orders"].ended_at == BEGINNING - 40
    assert counted(state, metrics.TERMINATIONS, "stopped") == 0


@pytest.mark.parametrize("killed", [True, False])
def test_end_of_an_older_driver_counts(state: State, *, killed: bool) -> None:
    """A driver that is older than the exporter, and was followed for a while, ends like any other."""
    ring = Ring(started=BEGINNING - 50)
    ring.started_query("orders")
    state = fold(state, looked(NOW, ring.answer()))
    ends = [refused(ring, NOW)] * 2 if killed else [ring.answer(final=True)]

    state = fold(state, looked(NOW, *ends, present=(ring,)))

    assert counted(state, metrics.TERMINATIONS, "driver_lost" if killed else "stopped") == 1


def test_unobserved_across_runs(state: State) -> None:
    """A batch that a killed driver committed and never told is counted when the same checkpoint goes on behind it."""
    first = Ring(epoch="a" * 32)
    first.started_query("orders", run="run-1")
    first.progress("orders", 4, rows=10, run="run-1")
    second = Ring(epoch="b" * 32, started=BEGINNING + 60)
    second.started_query("orders", run="run-2")
    second.progress("orders", 6, rows=10, run="run-2")

    state = fold(state, looked(NOW, first.answer()))
    state = fold(state, looked(NOW, refused(first, NOW), second.answer()))

    assert counted(state, metrics.UNOBSERVED) == 1
    assert counted(state, metrics.TERMINATIONS, "driver_lost") == 1
    assert counted(state, metrics.INPUT_ROWS, "0") == 20
    assert counted(state, metrics.STARTS) == 2


def test_new_checkpoint_is_no_gap(state: State, ring: Ring) -> None:
    """The same name with another query id begins at its own batch ids."""
    ring.started_query("orders", run="run-1", of="11111111-0000")
    ring.progress("orders", 2, run="run-1", of="11111111-0000")
    ring.terminated("orders", run="run-1", of="11111111-0000")
    ring.started_query("orders", run="run-2", of="22222222-0000")
    ring.progress("orders", 90, run="run-2", of="22222222-0000")

    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.UNOBSERVED) == 0
    assert [query.query_id for query in state.queries.values()] == ["22222222-0000"]


@pytest.mark.parametrize(
    ("trigger", "exception", "how"),
    [
        ("ProcessingTimeTrigger(1000)", None, "stopped"),
        (None, None, "stopped"),
        ("AvailableNowTrigger", None, "finished"),
        ("OneTimeTrigger", None, "finished"),
        ("AvailableNowTrigger", "java.lang.OutOfMemoryError: Java heap space", "oom"),
    ],
)
def test_ends(state: State, ring: Ring, trigger: str | None, exception: str | None, how: str) -> None:
    """A query's end is stopped, finished, or the class of its failure."""
    ring.started_query("orders", trigger=trigger)
    ring.terminated("orders", exception=exception)

    state = fold(state, looked(NOW, ring.answer()))

    query = state.queries["etl", "orders"]
    assert (query.active, query.ended_class, query.ended_at) == (False, how, NOW)
    assert counted(state, metrics.TERMINATIONS, how) == 1
    assert counted(state, metrics.FAILURES) == (1 if exception else 0)
    assert query.last_failures == ({how: ring.now} if exception else {})


def test_failure_takes_the_application(state: State, ring: Ring) -> None:
    """A failure that is told by the final file alone is told with its class; the driver's end adds no second one."""
    ring.started_query("orders")
    ring.terminated("orders", exception="java.lang.OutOfMemoryError: Java heap space")

    state = fold(state, looked(NOW, ring.answer(final=True)))
    state = fold(state, looked(NOW, ring.answer(final=True)))

    assert counted(state, metrics.TERMINATIONS, "oom") == 1
    assert counted(state, metrics.TERMINATIONS, "stopped") == 0
    assert ended(state) == {ring.epoch}


def test_clean_end(state: State, ring: Ring) -> None:
    """Queries that still run when their application ends are stopped with it."""
    ring.started_query("orders")

    state = fold(state, looked(NOW, ring.answer(final=True)))

    assert counted(state, metrics.TERMINATIONS, "stopped") == 1
    assert not state.queries["etl", "orders"].active


def test_killed_driver(state: State, ring: Ring) -> None:
    """A driver that refuses twice in a row is dead: each query that ran is lost with it, and one that had ended is not."""
    ring.started_query("orders", run="run-1")
    ring.started_query("done", run="run-2")
    ring.terminated("done", run="run-2")
    state = fold(state, looked(NOW, ring.answer()))

    state = fold(state, looked(NOW + 1, refused(ring, NOW + 1), present=(ring,)))

    assert state.queries["etl", "orders"].active

    state = fold(state, looked(NOW + 2, refused(ring, NOW + 2), present=(ring,)))

    assert not state.queries["etl", "orders"].active
    assert counted(state, metrics.TERMINATIONS, "driver_lost") == 1
    assert counted(state, metrics.TERMINATIONS, "driver_lost", query="done") == 0
    assert counted(state, metrics.FAILURES) == 0
    assert state.queries["etl", "orders"].last_failures == {"driver_lost": NOW + 2}


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.UNAUTHORIZED, Reason.DISCONNECTED, Reason.BAD_ANSWER])
def test_silence_is_not_death(state: State, ring: Ring, reason: Reason) -> None:
    """Only a port that refuses tells a death: a frozen, busy or strange driver keeps its queries, and each look is counted."""
    ring.started_query("orders")
    state = fold(state, looked(NOW, ring.answer()))

    for second in range(20):
        state = fold(state, looked(NOW + second, refused(ring, NOW + second, reason), present=(ring,)))

    assert state.queries["etl", "orders"].active
    assert not state.drivers[ring.epoch].reachable
    assert state.failures == {("etl", reason.value): 20}


def test_a_refusal_between_answers(state: State, ring: Ring) -> None:
    """A single refusal between answers kills nobody."""
    ring.started_query("orders")

    for second in range(3):
        state = fold(state, looked(NOW + second, ring.answer()))
        state = fold(state, looked(NOW + second, refused(ring, NOW + second), present=(ring,)))

    assert state.queries["etl", "orders"].active


def test_believed_dead(state: State, ring: Ring) -> None:
    """A driver that answers after all has its queries back, with what they counted meanwhile."""
    ring.started_query("orders")
    ring.running(("orders", "run-1"))
    state = fold(state, looked(NOW, ring.answer()))
    for second in (1, 2):
        state = fold(state, looked(NOW + second, refused(ring, NOW + second), present=(ring,)))
    ring.progress("orders", 0, rows=7)

    state = fold(state, looked(NOW + 3, ring.answer()))

    assert state.queries["etl", "orders"].active
    assert counted(state, metrics.INPUT_ROWS, "0") == 7
    assert ended(state) == frozenset()


def test_final_file_after_a_believed_death(state: State, ring: Ring) -> None:
    """A final file found after its driver was believed dead adds its events, and no second end."""
    ring.started_query("orders")
    state = fold(state, looked(NOW, ring.answer()))
    for second in (1, 2):
        state = fold(state, looked(NOW + second, refused(ring, NOW + second), present=(ring,)))
    ring.progress("orders", 0, rows=7)
    ring.terminated("orders")

    state = fold(state, looked(NOW + 3, ring.answer(final=True)))

    assert counted(state, metrics.INPUT_ROWS, "0") == 7
    assert counted(state, metrics.TERMINATIONS, "driver_lost") == 1
    assert counted(state, metrics.TERMINATIONS, "stopped") == 0


def test_lost_end(state: State, ring: Ring) -> None:
    """A query that its driver no longer lists, and whose end was lost, is ended as untold, but not at once; it is no failure."""
    ring.started_query("orders")
    ring.running(("orders", "run-1"))
    state = fold(state, looked(NOW, ring.answer()))
    ring.running()

    for second in (1, 20, 30):
        state = fold(state, looked(NOW + second, ring.answer()))

    assert state.queries["etl", "orders"].active

    state = fold(state, looked(NOW + 31, ring.answer()))

    assert counted(state, metrics.TERMINATIONS, "untold") == 1
    assert counted(state, metrics.FAILURES) == 0
    assert not state.queries["etl", "orders"].active


@pytest.mark.parametrize("sign", ["listed", "batch", "end"])
def test_untold_end_taken_back(state: State, ring: Ring, sign: str) -> None:
    """A query that was believed to have ended runs on with its next sign of life; a late end tells its class after all."""
    ring.started_query("orders")
    ring.running()
    for second in (0, 40):
        state = fold(state, looked(NOW + second, ring.answer()))

    assert not state.queries["etl", "orders"].active

    if sign == "listed":
        ring.running(("orders", "run-1"))
    elif sign == "batch":
        ring.progress("orders", 0)
    else:
        ring.terminated("orders", exception="java.lang.OutOfMemoryError: Java heap space")
    state = fold(state, looked(NOW + 41, ring.answer()))

    query = state.queries["etl", "orders"]
    assert query.active == (sign != "end")
    assert query.ended_class == ("oom" if sign == "end" else "")


def test_late_end_of_an_older_run(state: State, ring: Ring) -> None:
    """The end of an older run that is told after the newer one's start is counted, and ends nothing."""
    ring.started_query("orders", run="run-1")
    ring.started_query("orders", run="run-2")
    ring.terminated("orders", run="run-1", exception="java.lang.OutOfMemoryError: Java heap space")

    state = fold(state, looked(NOW, ring.answer()))

    query = state.queries["etl", "orders"]
    assert (query.run_id, query.active) == ("run-2", True)
    assert counted(state, metrics.TERMINATIONS, "oom") == 1
    assert counted(state, metrics.STARTS) == 2


def test_number_that_no_double_holds(state: State, ring: Ring) -> None:
    """An event with a number that can't be counted costs itself and a counter; what can be shown of it can be stored."""
    ring.progress("orders", 0, rows=5)
    ring.progress("orders", 1, rows=5, observedMetrics={"checks": {"hashes": 2**64}})
    ring.progress("orders", 2, rows=2**70)
    huge = {"t": {"0": 10**400}}
    kafka = {"description": "KafkaV2[Subscribe[t]]", "startOffset": {"t": {"0": 0}}, "endOffset": huge, "latestOffset": huge}
    ring.progress("orders", 3, rows=5, sources=[kafka])

    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.INPUT_ROWS, "0") == 10
    assert of_app(state, driver.EVENTS_UNREADABLE) == 2
    assert decoded(encoded(state)) == state


def test_listed_again(state: State, ring: Ring) -> None:
    """A query that is missing from the list for a moment only is not ended."""
    ring.started_query("orders")
    for second in range(0, 100, 10):
        ring.running(*([("orders", "run-1")] if second % 20 else []))
        state = fold(state, looked(NOW + second, ring.answer()))

    assert state.queries["etl", "orders"].active


def test_found_query(state: State, ring: Ring) -> None:
    """A query that ran before the listener was attached shows its last batch, and counts from the next one on."""
    earlier = {"id": query_id("orders"), "runId": "run-1", "name": "orders", "timestamp": "2026-11-22T00:00:00.000Z"}
    last = {**earlier, "batchId": 4, "numInputRows": 9, "durationMs": {"triggerExecution": 100}}
    ring.say(
        "found", {key: earlier[key] for key in ("id", "runId", "name")}, trigger="ProcessingTimeTrigger(1000)", progress=last
    )
    ring.progress("orders", 5, rows=2)

    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.INPUT_ROWS, "0") == 2
    assert counted(state, metrics.STARTS) == 0
    assert counted(state, metrics.UNOBSERVED) == 0
    assert state.queries["etl", "orders"].trigger == "ProcessingTimeTrigger(1000)"


def test_found_query_without_progress(state: State, ring: Ring) -> None:
    """A query that is found before its first batch is active."""
    ring.say("found", {"id": query_id("orders"), "runId": "run-1", "name": "orders"}, progress=None)

    state = fold(state, looked(NOW, ring.answer()))

    assert state.queries["etl", "orders"].active


def test_names(state: State, ring: Ring) -> None:
    """A nameless query goes by 8 characters of its id; of two active ones with one name the second gets its id besides."""
    ring.started_query(None, run="run-1", of="12345678-aaaa")
    ring.started_query("orders", run="run-2", of="abcdefgh-aaaa")
    ring.started_query("orders", run="run-3", of="ijklmnop-aaaa")

    state = fold(state, looked(NOW, ring.answer()))

    assert list(state.queries) == [("etl", "12345678"), ("etl", "orders"), ("etl", "orders@ijklmnop")]


def test_names_stay(state: State, ring: Ring) -> None:
    """A query that was told apart by its id keeps that name over a restart, also when the plain name is free again."""
    ring.started_query("orders", run="run-2", of="abcdefgh-aaaa")
    ring.started_query("orders", run="run-3", of="ijklmnop-aaaa")
    ring.terminated("orders", run="run-2", of="abcdefgh-aaaa")
    ring.terminated("orders", run="run-3", of="ijklmnop-aaaa")
    ring.started_query("orders", run="run-4", of="ijklmnop-aaaa")

    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.STARTS, query="orders@ijklmnop") == 2
    assert counted(state, metrics.STARTS, query="orders") == 1


def test_nameless_events_find_their_query(state: State, ring: Ring) -> None:
    """Idle and terminated events of a run whose start was lost belong to the query of that id."""
    ring.started_query("orders", run="run-1")
    ring.terminated("orders", run="run-1")
    ring.lose()
    ring.idle("orders", run="run-2")

    state = fold(state, looked(NOW, ring.answer()))

    assert state.queries["etl", "orders"].run_id == "run-2"
    assert counted(state, metrics.IDLE_SIGNALS) == 1


def test_name_from_the_list(state: State, ring: Ring) -> None:
    """A run whose start was lost is called as the driver's list of active queries calls it."""
    ring.running(("orders", "run-1"))
    ring.lose()
    ring.idle("orders", run="run-1")

    state = fold(state, looked(NOW, ring.answer()))

    assert list(state.queries) == [("etl", "orders")]


def test_two_drivers_of_one_name(state: State) -> None:
    """Of two drivers that run under one name the second gets 8 characters of its application's id besides."""
    first, second = Ring(epoch="a" * 32), Ring(epoch="b" * 32, started=BEGINNING + 2)
    first.started_query("orders")
    second.started_query("orders", run="run-2")

    state = fold(state, looked(NOW, second.answer(), first.answer()))

    assert sorted(state.queries) == [("etl", "orders"), ("etl@bbbbbbbb", "orders")]


def test_restarted_driver_keeps_the_name(state: State) -> None:
    """A driver that follows one that refuses takes its name over, and its queries go on counting."""
    first, second = Ring(epoch="a" * 32), Ring(epoch="b" * 32, started=BEGINNING + 2)
    first.progress("orders", 0, rows=1)
    second.progress("orders", 1, rows=1, run="run-2")
    state = fold(state, looked(NOW, first.answer()))

    state = fold(state, looked(NOW + 1, second.answer(), refused(first, NOW + 1)))

    assert list(state.queries) == [("etl", "orders")]
    assert counted(state, metrics.INPUT_ROWS, "0") == 2


def test_new_run_forgets_its_backlog(state: State, ring: Ring) -> None:
    """A new run does not claim to know a backlog until it has seen one; what else its last batch showed stands."""
    behind = {
        "description": "KafkaV2[Subscribe[t]]",
        "numInputRows": 1,
        "endOffset": {"t": {"0": 1}},
        "latestOffset": {"t": {"0": 9}},
    }
    ring.progress("orders", 0, sources=[behind])
    ring.terminated("orders")
    state = fold(state, looked(NOW, ring.answer()))
    query = state.queries["etl", "orders"]

    assert query.gauges[metrics.BACKLOG_ROWS.name, "0"] == 8
    assert query.behind == {"0"}

    ring.started_query("orders", run="run-2")
    state = fold(state, looked(NOW, ring.answer()))
    query = state.queries["etl", "orders"]

    assert query.behind == frozenset()
    assert (metrics.BACKLOG_ROWS.name, "0") not in query.gauges
    assert query.gauges[(metrics.BATCH_ID.name,)] == 0


def test_jvm_totals(state: State) -> None:
    """What a JVM counts goes on over a restart of the driver: the new JVM's zero is no decrease."""

    def facts(millis: int) -> dict[str, Any]:
        return {"app": {"name": "etl"}, "jvm": {"gc": [{"name": "G1", "count": 1, "millis": millis}]}}

    first, second = Ring(epoch="a" * 32), Ring(epoch="b" * 32, started=BEGINNING + 2)
    first.facts = facts(500)
    state = fold(state, looked(NOW, first.answer()))
    first.facts = facts(750)
    state = fold(state, looked(NOW, first.answer(final=True)))
    second.facts = facts(100)
    state = fold(state, looked(NOW, second.answer(), present=(first,)))

    assert of_app(state, driver.GC_SECONDS, "G1") == pytest.approx(0.85)


def test_jvm_totals_of_an_older_driver(state: State) -> None:
    """What a JVM counted before our time is not added; what it counts from then on is."""
    ring = Ring(started=BEGINNING - 50)
    ring.facts["jvm"] = {"cpuNanos": 1_000_000_000_000}
    state = fold(state, looked(NOW, ring.answer()))
    first = of_app(state, driver.CPU_SECONDS)
    ring.facts["jvm"] = {"cpuNanos": 1_002_000_000_000}
    state = fold(state, looked(NOW, ring.answer()))

    assert (first, of_app(state, driver.CPU_SECONDS)) == (0, 2)


def test_driver_that_never_answered(state: State) -> None:
    """What never told its name is counted without one: an application's id is no target."""
    failures = [
        Failed("e" * 32, "app-7", Reason.REFUSED, "", NOW),
        Failed("", "/drivers", Reason.UNREADABLE, "", NOW),
    ]

    state = fold(state, looked(NOW, *failures))

    assert state.failures == {("", "refused"): 1, ("", "unreadable"): 1}
    assert state.drivers == {}


def test_forgets_drivers(state: State) -> None:
    """Over the cap the drivers that ended first are forgotten, but never one with a file: that would be counted again."""
    rings = [Ring(epoch=f"{i:032d}", app=f"app-{i}") for i in range(MAX_DRIVERS + 2)]
    for i, ring in enumerate(rings):
        state = fold(state, looked(NOW + i, ring.answer(final=True), present=(rings[0],)))

    assert len(state.drivers) == MAX_DRIVERS
    assert rings[0].epoch in state.drivers
    assert {rings[1].epoch, rings[2].epoch}.isdisjoint(state.drivers)


def test_forgets_applications(state: State, ring: Ring) -> None:
    """Over the cap the applications that were not seen for longest are forgotten, with what was counted of them."""
    old = {f"app-{i}": App(seen_at=NOW - i) for i in range(MAX_APPS)}

    state = fold(State(since=BEGINNING, apps=old), looked(NOW, ring.answer()))

    assert len(state.apps) == MAX_APPS
    assert f"app-{MAX_APPS - 1}" not in state.apps
    assert "etl" in state.apps


def test_forgets_the_longest_ended(state: State, ring: Ring) -> None:
    """Over the cap the queries that ended longest ago go first, and active ones never."""
    old = {
        ("etl", f"q{i}"): Query("etl", f"q{i}", f"id{i}", f"r{i}", "x", active=False, ended_at=NOW - i)
        for i in range(MAX_QUERIES)
    }
    ring.started_query("orders")

    state = fold(State(since=BEGINNING, queries=old), looked(NOW, ring.answer()))

    assert len(state.queries) == MAX_QUERIES
    assert ("etl", f"q{MAX_QUERIES - 1}") not in state.queries
    assert ("etl", "orders") in state.queries


def test_negative_numbers(state: State, ring: Ring) -> None:
    """A negative number in an event takes nothing from a counter."""
    ring.progress("orders", 0, durationMs={"addBatch": -5, "triggerExecution": 10})

    state = fold(state, looked(NOW, ring.answer()))

    assert counted(state, metrics.PHASE_SECONDS, "addBatch") == 0


def test_state_survives_the_disk(state: State, ring: Ring) -> None:
    """A stored state is the same state."""
    ring.started_query("orders", trigger="ProcessingTimeTrigger(1000)")
    ring.progress("orders", 0)
    ring.terminated("orders", exception="java.lang.OutOfMemoryError")
    ring.running(("orders", "run-1"))
    state = fold(state, looked(NOW, ring.answer(), Failed("", "/drivers", Reason.UNREADABLE, "", NOW)))

    assert decoded(encoded(state)) == state


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b"\xc1", "no state: "),
        (b"\x81\xa7version\x07", "state of version 7, 2 is understood"),
        (b"\x81\xa7version\x02", "no state: "),
    ],
)
def test_foreign_state(stored: bytes, message: str) -> None:
    """What is no state of this version is refused."""
    with pytest.raises(ValueError, match=message):
        decoded(stored)


OOM = "java.lang.OutOfMemoryError: Java heap space"
PLACE = {"workspaceUrl": "dbc.example.net", "job.id": "8", "job.runId": "9"}


def test_last_batch(state: State, ring: Ring) -> None:
    """Rows and duration of the last batch are remembered together; an idle signal leaves them."""
    ring.progress("orders", 0, rows=10)
    ring.progress("orders", 1, rows=25)
    ring.idle("orders")

    query = fold(state, looked(NOW, ring.answer())).queries["etl", "orders"]

    assert (query.last_batch_id, query.last_batch_rows, query.last_batch_seconds) == (1, 25, 0.4)


def test_last_failures(state: State, ring: Ring) -> None:
    """Ends by a failure are remembered: class, time, the last batch before it, condition, run; other ends are not."""
    ring.facts["databricks"] = PLACE
    ring.now = BEGINNING + 10
    ring.progress("orders", 4)
    ring.terminated("orders", exception=OOM)
    ring.started_query("clicks", run="run-2")
    ring.terminated("clicks", run="run-2")

    state = fold(state, looked(NOW, ring.answer()))
    again = fold(state, looked(NOW + 1, ring.answer()))

    assert state.last_failures == (
        Failure("etl", "orders", "oom", BEGINNING + 10, 4, None, "https://dbc.example.net/#job/8/run/9"),
    )
    assert again.last_failures == state.last_failures


def test_exceptions_by_choice(state: State, ring: Ring) -> None:
    """An exception's first line is kept only where it was chosen, redacted; when it is chosen no more it goes at the next look."""
    ring.started_query("orders")
    ring.terminated("orders", exception="java.io.IOException: no bucket for password=hunter2\n\tat a.b.C.d(E.java:1)")

    quiet = fold(state, looked(NOW, ring.answer()))
    told = fold(state, looked(NOW, ring.answer()), exceptions=True)
    kept = fold(decoded(encoded(told)), looked(NOW + 1), exceptions=True)
    dropped = fold(decoded(encoded(told)), looked(NOW + 1))

    assert b"bucket" not in encoded(quiet)
    assert [one.message for one in told.last_failures] == ["java.io.IOException: no bucket for password=***"]
    assert kept.last_failures == told.last_failures
    assert b"bucket" not in encoded(dropped)
    assert dropped.last_failures == quiet.last_failures


def test_events_folded(state: State, ring: Ring) -> None:
    """Every event that is read and counted is told as folded, once; a bad one, and one that comes again, is not."""
    ring.started_query("orders")
    ring.progress("orders", 0)
    ring.say_text("{}")
    ring.idle("orders")

    other = Ring(epoch="b" * 32, app="other")
    other.idle("orders")

    for _ in range(2):
        state = fold(state, looked(NOW, ring.answer(), other.answer()))

    assert of_app(state, driver.EVENTS_FOLDED) == 3
    assert of_app(state, driver.EVENTS_FOLDED, app="other") == 1
    assert of_app(fold(State(since=NOW), looked(NOW, ring.answer())), driver.EVENTS_FOLDED) == 0


def test_last_failures_are_bounded_by_time(state: State, ring: Ring) -> None:
    """Of more failures than are kept the newest stay, whatever the order in which they are learned."""
    old = Ring("b" * 32, app="old")
    old.terminated("ancient", exception=OOM)
    for number in range(MAX_LAST_FAILURES):
        ring.now = BEGINNING + 10 + number
        ring.started_query("orders", run=f"run-{number}")
        ring.terminated("orders", run=f"run-{number}", exception=OOM)
    state = fold(state, looked(NOW, ring.answer()))

    state = fold(state, looked(NOW + 1, ring.answer(), old.answer()))

    assert [one.at for one in state.last_failures] == [BEGINNING + 10 + number for number in range(MAX_LAST_FAILURES)]


def test_failures_from_before_our_time(ring: Ring) -> None:
    """What failed before the exporter knew the ring is told as well: it is history, and adds to no counter."""
    ring.started_query("orders")
    ring.terminated("orders", exception=OOM)

    state = fold(State(since=NOW), looked(NOW, ring.answer()))

    assert [(one.query, one.name, one.at) for one in state.last_failures] == [("orders", "oom", BEGINNING + 1)]
    assert counted(state, metrics.FAILURES) == 0


def test_a_lost_driver_is_one_failure(state: State, ring: Ring) -> None:
    """A driver that is lost is one failure, however many queries it took along; none, when it answers after all."""
    ring.started_query("orders")
    ring.started_query("clicks", run="run-2")
    state = fold(state, looked(NOW, ring.answer()))
    for second in (1, 2):
        state = fold(state, looked(NOW + second, refused(ring, NOW + second), present=(ring,)))
    back = fold(state, looked(NOW + 3, ring.answer()))

    assert state.last_failures == (Failure("etl", "", "driver_lost", NOW + 2),)
    assert back.last_failures == ()
