"""Logs of a simulated workspace's clusters: each event counted once, and no cluster asked more than it is worth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing

import msgspec
import pytest

from exporter.collectors.databricks import cluster_events as collector
from exporter.collectors.databricks import clusters
from exporter.databricks.cluster_events import (
    ASKED_SECONDS,
    CAUSES,
    GONE,
    MAX_REMEMBERED,
    MAX_TRIES,
    OVERLAP_MS,
    TROUBLES,
    TYPES,
    ClusterEvents,
    Event,
    decoded,
    due,
    encoded,
    folded,
    start,
    watched,
)
from exporter.databricks.clusters import Cluster, Clusters
from exporter.databricks.jobs import Job, Jobs
from exporter.databricks.words import known
from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import Reason, SourceError
from exporter.polled import Asked
from tests.collectors.databricks.workspaces import NAME, SECONDS, SETTINGS, Looking, client, looking, page, values
from tests.sources.http_server import Server, says

BUSY = Sizes(cron_jobs=2, every_minutes=30, continuous_jobs=4, submitted_runs_a_day=0, clusters=5, history_hours=1)
EVENTS = "/api/2.1/clusters/events"
NOW = 1_800_000_000.0
NOW_MS = int(NOW * 1000)
LIVING = Cluster("a", "running", name="shared")


def jobs(one: Looking) -> Jobs:
    """The continuous jobs of a workspace, as their collector would tell them."""
    documents = (
        {"job_id": job.job_id, "settings": {"continuous": {}} if job.kind == "continuous" else {}}
        for job in one.there.world.jobs.values()
    )
    return Jobs(NAME, one.there.now(), {job.job_id: job for job in msgspec.convert(list(documents), list[Job])})


def look(one: Looking, seconds: float = 0.0, named: Sequence[str] = ()) -> ClusterEvents:
    """One look at the clusters, and one at their logs."""
    one.look("clusters", clusters.fetch, seconds)
    one.settings = msgspec.structs.replace(SETTINGS, event_clusters=tuple(named))
    record: ClusterEvents = one.look("cluster_events", collector.fetch, jobs=jobs(one))
    return record


def event(seconds: float, type: str, **details: object) -> Event:
    return msgspec.convert({"timestamp": NOW_MS + int(seconds * 1000), "type": type, "details": details}, Event)


def told(*log: Event, before: ClusterEvents | None = None, now: float = NOW) -> ClusterEvents:
    return folded(before or ClusterEvents(NAME, NOW), {"a": LIVING}, {"a": log}, now)


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page: a continuous job, and a cluster that was named, after a day of looks; and one with init scripts."""
    with looking(sizes=BUSY) as one:
        name = next(iter(one.there.world.clusters.values())).name
        for _ in range(6 * 24):
            record = look(one, 600, [name])
        now = one.there.now()
    scripts = {"z": (event(0, "INIT_SCRIPTS_STARTED"), event(42.5, "INIT_SCRIPTS_FINISHED"))}
    record = folded(record, {"z": Cluster("z", "running", job_id="1")}, scripts, now)

    golden("databricks-cluster_events.prom", page(collector.METRICS, collector.samples(record)))


def test_every_event_once() -> None:
    """In 24 hours each event of the clusters that are watched is counted once, also across restarts and with odd pages."""
    with looking(sizes=BUSY) as one:
        named = list(one.there.world.clusters)[:5]
        look(one, named=named)
        seen: set[str] = set()
        for minute in range(24 * 60):
            if minute % 60 == 0:
                one.records["cluster_events"] = decoded(encoded(one.records["cluster_events"]))
                one.there.faults(*((Fault(Kind.SMALL_PAGES),) if minute % 120 else (Fault(Kind.STRINGS),)))
            seen.update(look(one, 60, named).reads)
        record = look(one, ASKED_SECONDS, named)
        happened = Counter(
            (known(happening.type, TYPES), known(happening.cause, CAUSES))
            for cluster_id in seen | set(record.reads)
            for happening in one.there.world.cluster_events[cluster_id]
            if record.since * 1000 <= happening.at
        )
        asked = one.asked(EVENTS)
    counted: Counter[tuple[str, str]] = Counter()
    for (_, _, kind, cause), count in record.events.items():
        counted[kind, cause] += count

    assert happened.total() > 150
    assert happened["nodes_lost", ""] > 0
    assert counted == happened
    assert asked < 9 * 24 * 60 / 3


def test_who_is_asked() -> None:
    """Clusters of continuous jobs and those that are named are asked for, others never."""
    with looking(sizes=BUSY) as one:
        named = next(iter(one.there.world.clusters.values()))
        look(one, named=[named.name])
        listed = one.records["clusters"].clusters
        bodies = [msgspec.json.decode(two.body)["cluster_id"] for two in one.there.requests if two.target == EVENTS]
        continuous = {job.job_id for job in one.there.world.jobs.values() if job.kind == "continuous"}

    expected = {two.cluster_id for two in listed if two.job_id and int(two.job_id) in continuous} | {named.cluster_id}
    assert sorted(bodies) == sorted(expected)
    assert len(listed) > len(expected) > 1


def test_watched() -> None:
    """A cluster is named by its name or its id; without a list of jobs none is continuous."""
    living = [LIVING, Cluster("b", "running", job_id="1"), Cluster("c", "running")]
    continuous = Jobs(NAME, NOW, {1: msgspec.convert({"job_id": 1, "settings": {"continuous": {}}}, Job)})

    assert set(watched(living, None, ["shared"])) == {"a"}
    assert set(watched(living, None, ["c"])) == {"c"}
    assert set(watched(living, continuous, [])) == {"b"}
    assert not watched(living, None, [""])


def test_due() -> None:
    """A cluster is asked when it is new, in another state or gone, and again after some minutes; first who waited longest."""
    before = told(event(0, "RUNNING"))
    new = Cluster("b", "pending")

    assert due(before, {"a": LIVING}, NOW + 1) == ()
    assert due(before, {"a": LIVING, "b": new}, NOW + 1) == ("b",)
    assert due(before, {"a": Cluster("a", "resizing")}, NOW + 1) == ("a",)
    assert due(before, {"b": new}, NOW + 1) == ("b", "a")
    assert due(before, {"a": LIVING}, NOW + ASKED_SECONDS) == ("a",)
    gone = folded(before, {}, {"a": ()}, NOW + 1)
    assert gone.reads["a"].state == GONE
    assert due(gone, {}, NOW + 10 * ASKED_SECONDS) == ()
    assert due(gone, {"a": LIVING}, NOW + 2) == ("a",)


def test_where_it_is_read_from() -> None:
    """From the newest event on, with some overlap; at first from the last start, but no more than a day back."""
    empty = ClusterEvents(NAME, NOW)

    assert start(told(event(7, "RUNNING")), "a", LIVING) == NOW_MS + 7000 - OVERLAP_MS
    assert start(empty, "a", Cluster("a", "running", started=1.0, restarted=NOW - 60)) == NOW_MS - 60_000 - OVERLAP_MS
    assert start(empty, "a", Cluster("a", "running", started=1.0)) == NOW_MS - 86_400_000 - OVERLAP_MS
    assert start(empty, "a", None) == NOW_MS - 86_400_000 - OVERLAP_MS


def test_late_and_repeated() -> None:
    """An event that is written late counts, one that is told again or left out for once does not count again."""
    early, middle, late = event(1, "NODES_LOST"), event(2, "NODES_LOST"), event(3, "NODES_LOST")
    first = told(early, late)
    second = told(early, middle, late, before=first)
    third = told(late, before=second)
    fourth = told(early, middle, late, before=third)
    counts = [one.events["a", "", "nodes_lost", ""] for one in (first, second, third, fourth)]

    assert counts == [2, 3, 3, 3]


def test_same_millisecond() -> None:
    """Two events of one kind at the same time are two, together or one after the other."""
    twins = (event(1, "NODES_LOST"), event(1, "NODES_LOST"))

    assert told(*twins, before=told(*twins)).events == {("a", "", "nodes_lost", ""): 2}
    assert told(*twins, before=told(twins[0])).events == {("a", "", "nodes_lost", ""): 2}


def test_before_counting() -> None:
    """What happened before counting began is not counted, but tells how long the init scripts took."""
    record = told(event(-90, "INIT_SCRIPTS_STARTED"), event(-30.5, "INIT_SCRIPTS_FINISHED"), event(-1, "NODES_LOST"))

    assert record.events == {}
    assert values(collector.samples(record), collector.INIT_SCRIPTS) == {("a", ""): 59.5}


def test_init_scripts_across_looks() -> None:
    """Init scripts that end after a look are timed from their start; an end without a start is not."""
    first = told(event(1, "INIT_SCRIPTS_STARTED"))
    second = told(event(1, "INIT_SCRIPTS_STARTED"), event(4, "INIT_SCRIPTS_FINISHED"), before=first)
    third = told(event(9, "INIT_SCRIPTS_FINISHED"), before=second)

    assert second.init_scripts == {("a", ""): 3.0}
    assert third.init_scripts == second.init_scripts
    assert told(event(4, "INIT_SCRIPTS_FINISHED")).init_scripts == {}


def test_resizes() -> None:
    """Resizes are counted by where they go; one that does not tell is an event alone."""
    record = told(
        event(1, "RESIZING", cause="AUTOSCALE", current_num_workers=2, target_num_workers=5),
        event(2, "RESIZING", cause="AUTOSCALE", current_num_workers=5, target_num_workers=1),
        event(3, "RESIZING", cause="BRAND_NEW", current_num_workers=1, target_num_workers=3),
        event(4, "RESIZING", current_num_workers=1, target_num_workers=1),
        event(5, "RESIZING"),
    )

    assert record.resizes == {("a", "", "up"): 2, ("a", "", "down"): 1}
    assert record.events == {
        ("a", "", "resizing", "autoscale"): 2,
        ("a", "", "resizing", "other"): 1,
        ("a", "", "resizing", ""): 2,
    }


def test_job_keeps_its_count() -> None:
    """Clusters of one job count into the same series, whatever their ids are."""
    before = ClusterEvents(NAME, NOW)
    for cluster_id in ("a", "b"):
        living = {cluster_id: Cluster(cluster_id, "running", job_id="7")}
        before = folded(before, living, {cluster_id: (event(1, "DRIVER_UNAVAILABLE"),)}, NOW)

    assert before.events == {("", "7", "driver_unavailable", ""): 2}
    assert list(before.subjects) == [("", "7")]


def test_counters_from_zero() -> None:
    """From the first sight of a cluster its troubles and resizes stand at 0."""
    samples = list(collector.samples(told()))

    assert values(samples, collector.EVENTS) == {("a", "", kind, ""): 0 for kind in TROUBLES}
    assert values(samples, collector.RESIZES) == {("a", "", "up"): 0, ("a", "", "down"): 0}


def test_forgotten() -> None:
    """A cluster that was not seen for 30 days is forgotten, and of too many those that were seen the longest ago."""
    record = told(event(1, "NODES_LOST"))
    later = folded(record, {}, {}, NOW + 30 * 86_400)
    many = {f"{number}": Cluster(f"{number}", "running") for number in range(MAX_REMEMBERED)}
    full = folded(record, many, {}, NOW + 1)

    assert (later.subjects, later.events, later.reads) == ({}, {}, {})
    assert ("a", "") not in full.subjects
    assert len(full.subjects) == MAX_REMEMBERED


def test_end_that_is_not_told() -> None:
    """The log of a cluster that is gone is asked for some more times, then no more."""
    record = told(event(1, "RUNNING"))
    for _ in range(MAX_TRIES):
        assert due(record, {}, NOW) == ("a",)
        record = folded(record, {}, {"a": None}, NOW)

    assert due(record, {}, NOW) == ()


def test_one_forbidden() -> None:
    """A log that is forbidden costs itself: the others are counted, and it is asked again after some minutes alone."""
    with looking(sizes=BUSY) as one:
        named = list(one.there.world.clusters)
        hidden = next(iter(look(one, named=named).reads))
        one.there.faults(Fault(Kind.FORBIDDEN, hidden, only=(EVENTS,)))
        look(one, ASKED_SECONDS, named)
        after = one.asked(EVENTS)
        record = look(one, 1, named)

    assert hidden in record.reads
    assert one.asked(EVENTS) == after
    assert {read.failed for cluster_id, read in record.reads.items() if cluster_id != hidden} == {0}


def test_failure() -> None:
    """Where no log can be read the look fails, and nothing is lost of the one before."""
    with looking(sizes=BUSY) as one:
        before = look(one)
        one.there.faults(Fault(Kind.STATUS, "401", only=(EVENTS,)))
        with pytest.raises(SourceError) as raised:
            look(one, ASKED_SECONDS)

    assert raised.value.reason is Reason.UNAUTHORIZED
    assert one.records["cluster_events"] == before


def test_failure_in_the_middle() -> None:
    """What fails for all ends the look: what was read by then is kept, and the others are asked in the next."""
    log = says({"events": [{"timestamp": NOW_MS, "type": "RUNNING"}]})
    living = Clusters(NAME, (LIVING, Cluster("b", "running"), Cluster("c", "running")))
    with Server(log, says({}, status="401 Unauthorized")) as server, closing(client(server.url)) as workspace:
        settings = msgspec.structs.replace(SETTINGS, event_clusters=("a", "b", "c"))
        record = collector.fetch(Asked(workspace, settings, None, {"clusters": living}, NOW, time.monotonic() + SECONDS))

    assert len(server.asked) == 2
    assert list(record.reads) == ["a"]
    assert record.events == {("a", "", "running", ""): 1}


def test_without_a_list() -> None:
    """Without the clusters nothing is asked, and none is taken for gone; counting has begun all the same."""
    with looking(sizes=BUSY) as one:
        first = one.look("cluster_events", collector.fetch)
        now = one.there.now()
        asked = [one.asked(EVENTS)]
        known_clusters = look(one)
        asked.append(one.asked(EVENTS))
        del one.records["clusters"]
        last = one.look("cluster_events", collector.fetch, 60)
        asked.append(one.asked(EVENTS))

    assert first == ClusterEvents(NAME, now)
    assert last == known_clusters
    assert asked == [0, len(known_clusters.reads), len(known_clusters.reads)]


def test_unknown_values() -> None:
    """A type and a cause that nobody knows are `other`."""
    assert told(event(1, "BRAND_NEW", cause="BRAND_NEW")).events == {("a", "", "other", "other"): 1}


def test_nothing_of_users() -> None:
    """No user, message or address of a log is in a record."""
    with looking(sizes=BUSY) as one:
        named = list(one.there.world.clusters)
        look(one, named=named)
        record = look(one, 7200, named)

    assert record.events
    assert b"example.com" not in encoded(record)


def test_list_of_another_kind() -> None:
    """What is no record of clusters is none."""
    with looking(sizes=BUSY) as one:
        record = one.look("cluster_events", collector.fetch, clusters=Clusters(NAME))

        assert record.subjects == {}


@pytest.mark.parametrize("stored", [b"", b"\x80", b"nonsense", b"\x81\xa9workspace\x01"])
def test_bad_stored(stored: bytes) -> None:
    """What is no record raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        decoded(stored)
