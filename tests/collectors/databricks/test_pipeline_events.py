"""Logs of a simulated workspace's pipelines: each event counted once, and no pipeline asked more than it is worth."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from exporter.collectors.databricks import pipeline_events as collector
from exporter.collectors.databricks import pipelines
from exporter.databricks import pipeline_events
from exporter.databricks.pipeline_events import (
    FIRST_MS,
    FLOW_STATES,
    LEVELS,
    MAX_EXPECTATIONS,
    MAX_EXPECTATIONS_OF_PIPELINE,
    MAX_FLOWS,
    MAX_FLOWS_OF_PIPELINE,
    MAX_GONE,
    OVERLAP_MS,
    REMEMBERED_SECONDS,
    Event,
    Flow,
    PipelineEvents,
    Told,
    decoded,
    due,
    encoded,
    folded,
    start,
)
from exporter.databricks.pipelines import Pipeline, Pipelines
from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import Reason, SourceError
from exporter.exposition import MAX_SERIES_A_FAMILY
from exporter.metric import Metric
from exporter.sources.databricks import Workspace
from tests.collectors.databricks.workspaces import NAME, Looking, looking, page, values

LIST = "/api/2.0/pipelines"
FEW = Sizes(1, 60, 0, 0, 0, 0, 1, 1, 4, 1, 0, 6.0)
NOW = 1_800_000_000.0
NOW_MS = int(NOW * 1000)
FIRST = PipelineEvents(NAME, NOW)
RUNNING = Pipeline("a", "running", update_id="u", update_state="running")
LISTED = Pipelines(NAME, NOW, (RUNNING,))
BAD = 2**70


def look(one: Looking, after: float = 60.0) -> PipelineEvents:
    """One look at the list, and one at the logs."""
    one.look("pipelines", pipelines.fetch, after)
    record: PipelineEvents = one.look("pipeline_events", collector.fetch)
    return record


@dataclass
class Breaking:
    """A workspace that tells the first page of one pipeline's log, and breaks at the second."""

    whole: Workspace
    pipeline_id: str

    def pages(self, *what: Any, ids: Mapping[str, str], parameters: Mapping[str, str], **more: Any) -> Iterator[Any]:
        if ids["pipeline_id"] == self.pipeline_id and "page_token" in parameters:
            raise SourceError(Reason.DISCONNECTED, "hung up")
        yield from self.whole.pages(*what, ids=ids, parameters=parameters, **more)


def asked_for(one: Looking) -> list[str]:
    """The pipelines whose logs were asked for so far, in order."""
    paths = (urlsplit(two.target).path.split("/") for two in one.there.requests)
    return [path[4] for path in paths if path[-1] == "events" and path[3] == "pipelines"]


def at(moment: float) -> datetime:
    return datetime.fromtimestamp(NOW + moment, timezone.utc)


def event(id: str, moment: float, details: object = None, level: str = "INFO", **origin: str) -> Event:
    """An event so many seconds after NOW."""
    named = {"flow_name": "f", "dataset_name": "d", "update_id": "u", **origin}
    document = {"id": id, "timestamp": at(moment).isoformat(), "level": level, "origin": named, "details": details}
    return msgspec.json.decode(msgspec.json.encode(document), type=Event)


def progress(id: str, moment: float, status: str = "RUNNING", *, checks: object = (), dropped: int = 0, **more: Any) -> Event:
    """An event of a flow; numbers are its metrics, texts its origin."""
    metrics = {name: value for name, value in more.items() if isinstance(value, int)}
    told = {"status": status, "metrics": metrics, "data_quality": {"dropped_records": dropped, "expectations": checks}}
    origin = {name: value for name, value in more.items() if isinstance(value, str)}
    return event(id, moment, {"flow_progress": told}, "METRICS", **origin)


def told(
    *log: Event, before: PipelineEvents = FIRST, now: float = 600.0, more: bool = False, listed: Pipelines = LISTED
) -> PipelineEvents:
    """The record after pipeline `a` was asked, so many seconds after NOW."""
    return folded(before, listed, {"a": Told(log, more)}, NOW + now)


def flow(record: PipelineEvents, name: str = "f") -> Flow:
    return record.logs["a"].flows[name]


def happened(one: Looking, since: float) -> dict[Metric, Counter[tuple[str, ...]]]:
    """What counters should tell of all that happened over there since then."""
    counts: dict[Metric, Counter[tuple[str, ...]]] = {
        metric: Counter()
        for metric in (collector.EVENTS, collector.OUTPUT_ROWS, collector.DROPPED_RECORDS, collector.EXPECTATIONS)
    }
    for pipeline_id, log in one.there.world.pipelines.items():
        for one_of in log.events:
            if one_of.at < since * 1000:
                continue
            counts[collector.EVENTS][pipeline_id, one_of.level.lower()] += 1
            details = one_of.details.get("flow_progress", {})
            if "metrics" in details and one_of.flow:
                key = (pipeline_id, one_of.flow)
                counts[collector.OUTPUT_ROWS][key] += details["metrics"]["num_output_rows"]
                counts[collector.DROPPED_RECORDS][key] += details["data_quality"]["dropped_records"]
                for check in details["data_quality"]["expectations"]:
                    for result in ("passed", "failed"):
                        subject = (pipeline_id, check["dataset"], check["name"], result)
                        counts[collector.EXPECTATIONS][subject] += check[f"{result}_records"]
    return counts


def counted(record: PipelineEvents, metric: Metric) -> Mapping[tuple[str, ...], float]:
    return {key: value for key, value in values(collector.samples(record), metric).items() if value}


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page, after two hours of looks."""
    with looking(sizes=FEW) as one:
        for _ in range(2 * 60):
            record = look(one)

    golden("databricks-pipeline_events.prom", page(collector.METRICS, collector.samples(record)))


def test_every_event_once() -> None:
    """In some 30 hours each event is counted once, also across restarts, hours without a look, failures and odd pages."""
    odd = (
        (),
        (Fault(Kind.STRINGS), Fault(Kind.EMPTY_TOKEN)),
        (Fault(Kind.SMALL_PAGES), Fault(Kind.SHIFTING)),
        (Fault(Kind.BROKEN_ITEMS), Fault(Kind.UNKNOWN_FIELDS)),
        (Fault(Kind.STATUS, "403", (f"{LIST}/",), times=9),),
    )
    with looking(sizes=FEW) as one:
        since = look(one).at
        for hour in range(15):
            one.records["pipeline_events"] = decoded(encoded(one.records["pipeline_events"]))
            one.there.faults(*odd[hour % len(odd)])
            if hour == 7:
                look(one, 16 * 3600)
            for _ in range(10):
                # Where no log can be read there is no record, and the next one has it all.
                with contextlib.suppress(SourceError):
                    look(one, 360)
        one.there.faults()
        record = look(one)
        expected = happened(one, since)
        asked = len(asked_for(one))
    found = {metric: counted(record, metric) for metric in expected}

    assert sum(expected[collector.EVENTS].values()) > 5000
    assert {level for _, level in expected[collector.EVENTS]} == {"info", "error", "metrics"}
    assert found == {metric: {key: value for key, value in counts.items() if value} for metric, counts in expected.items()}
    assert record.unreadable == record.dropped == 0
    assert asked < 4 * 15 * 15


def test_life() -> None:
    """Over some hours a flow's state and backlog are what its newest event over there tells."""
    seen = set()
    with looking(sizes=FEW) as one:
        since = look(one).at
        for _ in range(8 * 15):
            record = look(one, 240)
            found = {key for key, value in values(collector.samples(record), collector.FLOW_STATE).items() if value}
            backlogs = values(collector.samples(record), collector.BACKLOG_BYTES)
            for pipeline_id, log in one.there.world.pipelines.items():
                newest = log.updates[-1]
                if newest.created < since * 1000:
                    continue
                events = [
                    two for two in log.events if two.flow and two.update_id == newest.update_id and two.type == "flow_progress"
                ]
                for name, last in {str(two.flow): two.details["flow_progress"] for two in events}.items():
                    state = last["status"].lower()
                    goes_on = newest.state not in ("FAILED", "CANCELED")

                    assert ((pipeline_id, name, state) in found) == (goes_on or state == "failed")
                    if state in ("running", "completed") and goes_on:
                        assert backlogs[pipeline_id, name] == last["metrics"]["backlog_bytes"]
            seen |= {state for _, _, state in found}

    assert seen >= {"running", "completed", "failed"}


def test_who_is_asked() -> None:
    """Pipelines that run are asked each look, those at rest until their logs are read to the end, then no more."""
    with looking(sizes=FEW) as one:
        look(one)
        for _ in range(2 * 60):
            asked = len(asked_for(one))
            record = look(one)
            new = asked_for(one)[asked:]
            states = {two.pipeline_id: two.state for two in one.records["pipelines"].pipelines}
            active = {pipeline_id for pipeline_id, state in states.items() if state not in ("idle", "failed")}
            settling = {key for key, log in record.logs.items() if record.at - log.changed <= OVERLAP_MS / 1000}

            assert active <= set(new) <= active | settling
            assert len(new) == len(set(new))


def test_due() -> None:
    """A pipeline at rest is asked when something of it changed, some minutes on; first who waited longest."""
    resting, other = Pipeline("a", "idle", update_id="u"), Pipeline("b", "running")
    first = folded(FIRST, Pipelines(NAME, NOW, (resting,)), {}, NOW)
    again = Pipeline("a", "idle", update_id="v")
    changed = folded(first, Pipelines(NAME, NOW, (again,)), {"a": Told(())}, NOW + 60)

    assert due(FIRST, (RUNNING,), NOW) == ("a",)
    assert due(FIRST, (resting,), NOW) == ()
    assert due(first, (resting,), NOW + 60) == ()
    assert due(first, (again,), NOW + 60) == ("a",)
    assert due(changed, (again,), NOW + 120) == ("a",)
    assert due(folded(changed, Pipelines(NAME, NOW, (again,)), {"a": Told(())}, NOW + 180), (again,), NOW + 240) == ()
    assert due(folded(first, LISTED, {"a": Told(())}, NOW + 60), (RUNNING, other), NOW + 61) == ("b", "a")
    assert due(told(more=True, listed=Pipelines(NAME, NOW, (resting,))), (resting,), NOW + 900) == ("a",)


def test_new_pipeline() -> None:
    """Of a pipeline that is new all since the last look is counted, though it may be at rest again."""
    before = folded(FIRST, Pipelines(NAME, NOW), {}, NOW + 60)
    new = Pipeline("a", "idle", update_id="u", update_started=NOW + 70)
    record = told(progress("1", 59, num_output_rows=1), progress("2", 71, num_output_rows=2), before=before, now=120)

    assert due(before, (new,), NOW + 120) == ("a",)
    assert due(before, (Pipeline("a", "idle", update_id="u", update_started=NOW + 50),), NOW + 120) == ()
    assert flow(record).output_rows == 2


def test_where_it_is_read_from() -> None:
    """From the newest event on, with some overlap; without one where there is more of it; at first some minutes back."""
    assert start(FIRST, "a") == at(-FIRST_MS / 1000)
    assert start(told(event("1", 7.25)), "a") == at(7.25 - OVERLAP_MS / 1000)
    assert start(told(event("1", 7.25), more=True), "a") == at(7.25)
    assert start(told(), "a") == at(-FIRST_MS / 1000)


def test_future() -> None:
    """An event of a clock that is wrong counts once, and leads past none that is told later."""
    first = told(event("1", 10**8), now=60)
    second = told(event("1", 10**8), event("2", 70), before=first, now=120)

    assert start(first, "a") == at(60 - OVERLAP_MS / 1000)
    assert second.logs["a"].levels == {"info": 2}


def test_late_and_repeated() -> None:
    """An event that is written late counts and leaves gauges alone; one that is told again does not count again."""
    early = progress("1", 1, num_output_rows=1, backlog_bytes=100)
    late = progress("2", 2, "STARTING", num_output_rows=10, backlog_bytes=200)
    last = progress("3", 3, num_output_rows=100, backlog_bytes=300)
    first = told(early, last)
    second = told(early, late, last, before=first)
    third = told(last, before=second)
    fourth = told(early, late, last, before=third)

    assert [flow(one).output_rows for one in (first, second, third, fourth)] == [101, 111, 111, 111]
    assert (flow(fourth).state, flow(fourth).backlog_bytes, flow(fourth).at) == ("running", 300, NOW + 3)


def test_order() -> None:
    """Events are taken in order of time, however they are told."""
    record = told(progress("2", 2, backlog_bytes=2), progress("1", 1, backlog_bytes=1))

    assert flow(record).backlog_bytes == 2


def test_before_counting() -> None:
    """What happened before counting began tells what flows do now, and adds nothing."""
    check = {"name": "n", "dataset": "d", "passed_records": 5, "failed_records": 1}
    record = told(progress("1", -1, checks=[check], dropped=3, num_output_rows=7, backlog_files=9))

    assert flow(record) == Flow(NOW - 1, "u", "running", backlog_files=9)
    assert values(collector.samples(record), collector.EVENTS) == {("a", level): 0 for level in LEVELS}
    assert values(collector.samples(record), collector.EXPECTATIONS) == {
        ("a", "d", "n", "passed"): 0,
        ("a", "d", "n", "failed"): 0,
    }


def test_numbers() -> None:
    """Numbers of rows and records add up, backlogs are as last told; none is made up."""
    first = progress(
        "1", 1, dropped=1, num_output_rows=2, num_upserted_rows=3, num_deleted_rows=4, backlog_bytes=5, backlog_records=6
    )
    second = progress("2", 2, dropped=1, num_output_rows=1, num_upserted_rows=1, num_deleted_rows=1, backlog_records=7)

    assert flow(told(first, second)) == Flow(
        NOW + 2, "u", "running", 5, 7, None, output_rows=3.0, upserted_rows=4.0, deleted_rows=5.0, dropped_records=2.0
    )


@pytest.mark.parametrize(
    ("last", "state", "backlog"),
    [
        (progress("2", 2, "IDLE"), "idle", 5),
        (progress("2", 2, "COMPLETED"), "completed", None),
        (progress("2", 2, "COMPLETED", backlog_bytes=0), "completed", 0),
        (progress("2", 2, "FAILED"), "failed", None),
        (progress("2", 2, "STARTING", update_id="v"), "starting", None),
        (progress("2", 2, "BRAND_NEW"), "other", 5),
        (progress("2", 2, ""), "running", 5),
        (event("2", 2, {"update_progress": {"state": "CANCELED"}}), "", None),
        (event("2", 2, {"update_progress": {"state": "CANCELED"}}, update_id="v"), "running", 5),
        (event("2", 2, {"update_progress": {"state": "RUNNING"}}), "running", 5),
    ],
)
def test_backlog(last: Event, state: str, backlog: int | None) -> None:
    """A backlog lasts until another is told, the flow ends, or its update does, or a new one begins."""
    record = told(progress("1", 1, backlog_bytes=5), last)

    assert (flow(record).state, flow(record).backlog_bytes) == (state, backlog)


def test_end_that_was_told() -> None:
    """A flow that told its own end keeps it when its update ends."""
    record = told(progress("1", 1, "COMPLETED", backlog_bytes=5), event("2", 2, {"update_progress": {"state": "COMPLETED"}}))

    assert (flow(record).state, flow(record).backlog_bytes) == ("completed", 5)


def test_expectations() -> None:
    """Records that were held against an expectation add up by dataset and name; without a dataset it is the event's."""
    checks = [{"name": "n", "dataset": "x", "passed_records": 5}, {"name": "n", "failed_records": 1}]
    record = told(progress("1", 1, checks=checks), progress("2", 2, checks=checks))

    assert values(collector.samples(record), collector.EXPECTATIONS) == {
        ("a", "x", "n", "passed"): 10,
        ("a", "x", "n", "failed"): 0,
        ("a", "d", "n", "passed"): 0,
        ("a", "d", "n", "failed"): 2,
    }


def test_unreadable() -> None:
    """Details that can't be read cost themselves and are counted, once; their level counts, and so do the other events."""
    log = (
        progress("1", 1, num_output_rows=BAD),
        progress("2", 2, num_output_rows=-1),
        event("3", 3, "text", "ERROR"),
        progress("4", 4, checks=[{"passed_records": 1}]),
        progress("5", 5, flow_name="", dataset_name=""),
        progress("6", 6, num_output_rows=1),
    )
    record = told(*log, before=told(*log))

    assert record.unreadable == 5
    assert record.logs["a"].levels == {"metrics": 5, "error": 1}
    assert {name: one.output_rows for name, one in record.logs["a"].flows.items()} == {"f": 1}


def test_other_details() -> None:
    """Details of other types of events, and none at all, are read without a fault; an unknown level is `other`."""
    bare = msgspec.json.decode(b'{"id": "4", "timestamp": "2027-01-15T08:00:09"}', type=Event)
    record = told(event("1", 1), event("2", 2, {"cluster_resources": [1]}), event("3", 3, level="BRAND_NEW"), bare)

    assert (record.unreadable, record.logs["a"].levels) == (0, {"info": 2, "other": 2})


def test_bounds() -> None:
    """A flow or an expectation over what a pipeline may have is dropped and counted; those that are known go on."""
    checks = [{"name": f"n{number}", "failed_records": 1} for number in range(MAX_EXPECTATIONS_OF_PIPELINE + 2)]
    flows = [progress(f"e{number}", number / 1000, flow_name=f"f{number}") for number in range(MAX_FLOWS_OF_PIPELINE + 3)]
    first = told(progress("c", 0, checks=checks, flow_name="f0"), *flows)
    second = told(progress("1", 1, num_output_rows=7, flow_name="f199"), progress("2", 1, flow_name="g"), before=first)

    assert first.dropped == 2 + 3
    assert len(first.logs["a"].expectations) == MAX_EXPECTATIONS_OF_PIPELINE
    assert (len(second.logs["a"].flows), flow(second, "f199").output_rows) == (MAX_FLOWS_OF_PIPELINE, 7)
    assert second.dropped == 6


def test_bounds_of_all() -> None:
    """All pipelines of a workspace have no more flows and expectations together than fit on a page."""
    ids = [str(number) for number in range(12)]
    checks = [{"name": f"n{number}"} for number in range(MAX_EXPECTATIONS_OF_PIPELINE)]
    flows = [progress(f"e{number}", 1, flow_name=f"f{number}") for number in range(MAX_FLOWS_OF_PIPELINE)]
    log = Told([progress("c", 0, flow_name="f0", checks=checks), *flows])
    listed = Pipelines(NAME, NOW, tuple(Pipeline(one, "running") for one in ids))
    record = folded(FIRST, listed, dict.fromkeys(ids, log), NOW + 60)

    assert sum(len(one.flows) for one in record.logs.values()) == MAX_FLOWS
    assert sum(len(one.expectations) for one in record.logs.values()) == MAX_EXPECTATIONS
    states = values(collector.samples(record), collector.FLOW_STATE)
    assert len(states) == MAX_FLOWS * len(FLOW_STATES) <= MAX_SERIES_A_FAMILY


def test_recent_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more events are told again than can be remembered, what is not remembered is not read again."""
    monkeypatch.setattr(pipeline_events, "MAX_RECENT", 3)
    log = [event(str(number), number) for number in range(10)]
    record = told(*log, before=told(*log), now=700)

    assert record.logs["a"].levels == {"info": 10}
    assert set(record.logs["a"].recent) == {"7", "8", "9"}
    assert start(record, "a") == at(6.001)


def test_forgotten() -> None:
    """Flows, expectations and pipelines that nothing is heard of for 30 days are forgotten, of too many those that went first."""
    record = told(progress("1", 1, checks=[{"name": "n"}]))
    later = told(before=record, now=REMEMBERED_SECONDS + 1)
    gone = folded(record, Pipelines(NAME, NOW), {}, NOW + 700)
    many = Pipelines(NAME, NOW, tuple(Pipeline(f"p{number}", "idle") for number in range(MAX_GONE)))
    full = folded(folded(record, many, {}, NOW + 700), Pipelines(NAME, NOW), {}, NOW + 800)

    assert (later.logs["a"].flows, later.logs["a"].expectations) == ({}, {})
    assert flow(gone) == flow(record)
    assert not values(collector.samples(gone), collector.EVENTS)
    assert flow(told(before=gone, now=800)) == flow(record)
    assert set(full.logs) == {one.pipeline_id for one in many.pipelines}
    assert folded(record, Pipelines(NAME, NOW), {}, NOW + 600 + REMEMBERED_SECONDS).logs == {}


def test_long_log() -> None:
    """A log that is longer than a look is read on where it was left, its token sent without the filter."""
    with looking(sizes=FEW) as one:
        since = look(one).at
        one.there.faults(Fault(Kind.SMALL_PAGES))
        record = look(one, 24 * 3600)
        left = {pipeline_id for pipeline_id, log in record.logs.items() if log.more}
        for _ in range(3):
            record = look(one, 1)
        queries = [set(parse_qs(urlsplit(two.target).query)) for two in one.there.requests if "/events" in two.target]

        assert left
        assert counted(record, collector.EVENTS) == happened(one, since)[collector.EVENTS]
        assert not any(log.more for log in record.logs.values())
        assert {frozenset(names) for names in queries} == {
            frozenset({"filter", "order_by", "max_results"}),
            frozenset({"page_token", "max_results"}),
        }


def test_page_that_fails() -> None:
    """What was read of a log before a page failed is counted, and the rest when it is read on."""
    with looking(sizes=FEW) as one:
        since = look(one).at
        running = next(two.pipeline_id for two in one.records["pipelines"].pipelines if two.state == "running")
        one.look("pipelines", pipelines.fetch, 24 * 3600)
        one.there.faults(Fault(Kind.SMALL_PAGES))
        whole_workspace, one.workspace = one.workspace, cast("Workspace", Breaking(one.workspace, running))
        part = one.look("pipeline_events", collector.fetch)
        one.workspace = whole_workspace
        whole = one.look("pipeline_events", collector.fetch)

        assert part.logs[running].more
        assert 0 < sum(part.logs[running].levels.values()) <= 333
        assert counted(whole, collector.EVENTS) == happened(one, since)[collector.EVENTS]


def test_one_forbidden() -> None:
    """A log that is forbidden costs itself: the others are counted."""
    with looking(sizes=FEW) as one:
        since = look(one).at
        hidden = next(two.pipeline_id for two in one.records["pipelines"].pipelines if two.state == "running")
        one.there.faults(Fault(Kind.FORBIDDEN, hidden))
        record = look(one, 600)
        expected = happened(one, since)[collector.EVENTS]

    assert sum(count for key, count in expected.items() if key[0] == hidden)
    assert counted(record, collector.EVENTS) == {key: count for key, count in expected.items() if key[0] != hidden}


@pytest.mark.parametrize(
    ("status", "reason"), [("401", Reason.UNAUTHORIZED), ("403", Reason.FORBIDDEN), ("400", Reason.BAD_ANSWER)]
)
def test_failure(status: str, reason: Reason) -> None:
    """Where no log can be read the look fails, and nothing is lost of the one before."""
    with looking(sizes=FEW) as one:
        before = look(one)
        one.there.faults(Fault(Kind.STATUS, status, only=(f"{LIST}/",)))
        with pytest.raises(SourceError) as raised:
            look(one, 600)

    assert raised.value.reason is reason
    assert one.records["pipeline_events"] == before


def test_without_a_list() -> None:
    """Before the pipelines are known nothing is asked, and counting has begun."""
    with looking(sizes=FEW) as one:
        record = one.look("pipeline_events", collector.fetch)
        now = one.there.now()

    assert record == PipelineEvents(NAME, now)
    assert asked_for(one) == []


def test_nothing_of_users() -> None:
    """No message, exception or address of a log is in a record."""
    with looking(sizes=FEW) as one:
        look(one)
        stored = encoded(look(one, 7200))

    assert b"levels" in stored
    for text in (b"DELTA_SCHEMA_CHANGED", b"example.com", b"Flow bronze", b"Update "):
        assert text not in stored


@pytest.mark.parametrize("stored", [b"", b"\x80", b"nonsense", b"\x81\xa9workspace\x01"])
def test_bad_stored(stored: bytes) -> None:
    """What is no record raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        decoded(stored)
