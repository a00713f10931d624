"""Clusters of a simulated workspace: what a page tells of those that live, and that each end is counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from exporter.collectors.databricks import clusters as collector
from exporter.databricks.clusters import (
    CODES,
    GENERATED,
    MAX_REMEMBERED,
    MAX_TRIES,
    Answer,
    Clusters,
    decoded,
    encoded,
    folded,
    gone,
)
from exporter.databricks.words import known
from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import Reason, SourceError
from tests.collectors.databricks.workspaces import NAME, Looking, looking, page, values

BUSY = Sizes(cron_jobs=6, every_minutes=10, continuous_jobs=2, submitted_runs_a_day=0, clusters=5, history_hours=1)
LIST, GET = "/api/2.1/clusters/list", "/api/2.1/clusters/get"
NOW = 1_800_000_000.0


def look(one: Looking, seconds: float = 0.0) -> Clusters:
    record: Clusters = one.look("clusters", collector.fetch, seconds)
    return record


def answer(cluster_id: str = "a", state: str = "RUNNING", **more: object) -> Answer:
    return msgspec.convert({"cluster_id": cluster_id, "state": state, "cluster_source": "UI", **more}, Answer)


def ended(cluster_id: str = "a", code: str = "INACTIVITY", type: str = "SUCCESS", **more: object) -> Answer:
    return answer(cluster_id, "TERMINATED", termination_reason={"type": type, "code": code}, **more)


def record(*answers: Answer, now: float = NOW, before: Clusters | None = None) -> Clusters:
    return folded(before or Clusters(NAME), {one.cluster_id: one for one in answers}, {}, now)


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page: clusters of people, of jobs, on runtimes old and new, with logs that can't be delivered."""
    with looking(sizes=BUSY) as one:
        for _ in range(60):
            look(one, 60)

    golden("databricks-clusters.prom", page(collector.METRICS, collector.samples(one.records["clusters"])))


def test_every_end_once() -> None:
    """In 24 hours of looks each termination of a cluster that was seen alive is counted once, by its reason, also across restarts."""
    with looking(sizes=BUSY) as one:
        look(one)
        seen: set[str] = set()
        for minute in range(24 * 60):
            record = look(one, 60)
            seen.update(cluster.cluster_id for cluster in record.clusters)
            if minute % 100 == 0:
                one.records["clusters"] = decoded(encoded(record))
        happened = Counter(
            (
                known(event.reason.type, ("success", "client_error", "cloud_failure", "service_fault")),
                known(event.reason.code, CODES),
            )
            for cluster_id in seen
            for event in one.there.world.cluster_events[cluster_id]
            if event.type == "TERMINATING" and event.reason and one.there.world.begin_ms < event.at
        )
        ending = {cluster.cluster_id for cluster in record.clusters if cluster.state == "terminating"}

    assert sum(happened.values()) > 200
    assert not ending
    assert record.terminations == happened
    assert record.untold == 0


def test_no_dead_are_listed() -> None:
    """Only living clusters are asked for, and of those that ended each once."""
    with looking(sizes=BUSY) as one:
        look(one)
        before = {cluster.cluster_id for cluster in one.records["clusters"].clusters}
        look(one, 3600)
        after = {cluster.cluster_id for cluster in one.records["clusters"].clusters}
        look(one)
        asked = [two.target for two in one.there.requests if two.target.startswith(GET)]

    assert all("filter_by.cluster_states=RUNNING" in two.target for two in one.there.requests if two.target.startswith(LIST))
    assert before - after
    assert sorted(asked) == sorted(f"{GET}?cluster_id={cluster_id}" for cluster_id in before - after)


def test_visible() -> None:
    """A cluster that is put out of sight is no longer visible, and its end stays untold."""
    with looking(sizes=BUSY) as one:
        first = look(one)
        hidden = first.clusters[0].cluster_id
        one.there.faults(Fault(Kind.UNSEEN, hidden))
        second = look(one)

    assert first.visible - second.visible == 1
    assert (second.untold, second.leavers) == (1, {})


@pytest.mark.parametrize("kind", [Kind.STRINGS, Kind.EMPTY_TOKEN, Kind.UNKNOWN_FIELDS, Kind.SHIFTING])
def test_odd_answers(kind: Kind) -> None:
    """The page is the same, however Databricks spells numbers and cuts its list."""
    with looking(sizes=replace(BUSY, clusters=80)) as one:
        plain = look(one)
        one.there.faults(Fault(kind), Fault(Kind.SMALL_PAGES))

        assert look(one).clusters == plain.clusters
        assert one.asked(LIST) > 2


def test_list_that_misses_one() -> None:
    """A cluster that a page of the list left out is asked for by itself, and is still there."""
    with looking(sizes=BUSY) as one:
        plain = look(one)
        kept = {cluster.cluster_id for cluster in plain.clusters[:1]}
        one.there.faults(*(Fault(Kind.UNSEEN, cluster_id, only=(LIST,)) for cluster_id in kept))
        missed = look(one)

    assert one.asked(GET) > 0
    assert missed.clusters == plain.clusters
    assert not missed.terminations


def test_broken_items() -> None:
    """What can't be read costs itself, and the workspace counts it."""
    with looking(sizes=BUSY) as one:
        plain = look(one)
        one.there.faults(Fault(Kind.BROKEN_ITEMS))

        assert look(one).clusters == plain.clusters
        assert one.workspace.usage().bad_items == {"clusters/list": 6}


def test_unknown_values() -> None:
    """A state that nobody knows is `other`, and the other states are 0."""
    with looking(sizes=BUSY) as one:
        one.there.faults(Fault(Kind.UNKNOWN_VALUES))
        record = look(one)
        states = values(collector.samples(record), collector.STATE)

    unknown = [labels[0] for labels, value in states.items() if value and labels[1] == "other"]
    assert len(unknown) == -(-len(record.clusters) // 3)
    assert sum(states.values()) == len(record.clusters)


def test_failure_of_the_list() -> None:
    """Where the list is not whole there is no record."""
    with looking(sizes=BUSY) as one:
        one.there.faults(Fault(Kind.STATUS, "403", only=(LIST,)))
        with pytest.raises(SourceError) as raised:
            look(one)

    assert raised.value.reason is Reason.FORBIDDEN
    assert one.records == {}


def test_end_that_is_told_later() -> None:
    """Where the cluster itself can't be asked the list stands, and the end is counted when it is told."""
    with looking(sizes=BUSY) as one:
        look(one)
        one.there.faults(Fault(Kind.STATUS, "400", only=(GET,)))
        waiting = look(one, 3600)
        one.there.faults()
        told = look(one)

    assert waiting.terminations == {}
    assert set(waiting.leavers.values()) == {1}
    assert sum(told.terminations.values()) == len(waiting.leavers)
    assert (told.leavers, told.untold) == ({}, 0)


def test_failure_of_all() -> None:
    """What fails for one cluster as it would for the next is asked of one alone."""
    with looking(sizes=BUSY) as one:
        look(one)
        one.there.faults(Fault(Kind.STATUS, "401", only=(GET,)))
        waiting = look(one, 3600)

    assert sorted(waiting.leavers.values()) == [0] * (len(waiting.leavers) - 1) + [1]


def test_end_that_is_never_told() -> None:
    """A cluster that is deleted for good is let go after some looks, and counted as untold."""
    now = record(answer())
    for tries in range(1, MAX_TRIES):
        now = folded(now, {}, {"a": Reason.BAD_ANSWER}, NOW)
        assert now.leavers == {"a": tries}
    now = folded(now, {}, {"a": Reason.BAD_ANSWER}, NOW)

    assert (now.leavers, now.untold, now.terminations) == ({}, 1, {})


def test_least_asked_first() -> None:
    """Clusters that don't tell are no obstacle for those that were not asked yet."""
    before = folded(record(answer("a"), answer("b")), {}, {"a": Reason.TIMEOUT}, NOW)

    assert gone(before, {}) == ("b", "a")
    assert gone(before, {"b": answer("b")}) == ("a",)
    assert gone(None, {}) == ()


def test_started_anew_before_it_was_asked() -> None:
    """A cluster that is back has forgotten its end, which is untold."""
    before = folded(record(answer()), {}, {"a": Reason.TIMEOUT}, NOW)

    assert folded(before, {"a": answer()}, {}, NOW).untold == 1


def test_last_termination() -> None:
    """The last end of a cluster that people made is remembered for 30 days, that of a job's cluster is not."""
    before = record(answer("a"), answer("b"))
    told = {
        "a": ended("a", terminated_time=1_799_999_000_000),
        "b": ended("b", cluster_source="JOB", terminated_time=1_799_999_000_000),
    }
    after = folded(before, {}, told, NOW)
    later = folded(after, {}, {}, NOW + 30 * 86_400)

    assert after.last_terminations == {"a": 1_799_999_000.0}
    assert later.last_terminations == {}


def test_bounded_memory() -> None:
    """Of more ends than are remembered the newest are."""
    before = record(*(answer(f"{number:05}") for number in range(MAX_REMEMBERED + 5)))
    told = {
        f"{number:05}": ended(f"{number:05}", terminated_time=1_799_999_000_000 + number)
        for number in range(MAX_REMEMBERED + 5)
    }
    remembered = folded(before, {}, told, NOW).last_terminations

    assert len(remembered) == MAX_REMEMBERED
    assert "00004" not in remembered
    assert "00005" in remembered


@pytest.mark.parametrize(
    ("type", "code", "kind"),
    [
        ("SUCCESS", "INACTIVITY", ("success", "inactivity")),
        ("CLOUD_FAILURE", "BRAND_NEW", ("cloud_failure", "other")),
        ("BRAND_NEW", "INACTIVITY", ("other", "inactivity")),
    ],
)
def test_bounded_reasons(type: str, code: str, kind: tuple[str, str]) -> None:
    """Types and codes are words of a table, and `other`."""
    after = folded(record(answer()), {}, {"a": ended("a", code, type)}, NOW)

    assert after.terminations == {kind: 1}


def test_no_reason() -> None:
    """A cluster that ended without a reason is counted too."""
    assert folded(record(answer()), {}, {"a": answer("a", "TERMINATED")}, NOW).terminations == {("other", "other"): 1}


def test_counters_from_zero() -> None:
    """Before anything ended every kind of end stands at 0."""
    counted = values(collector.samples(record()), collector.TERMINATIONS)

    assert set(counted.values()) == {0}
    assert counted.keys() >= {("cloud_failure", "spot_instance_termination"), ("service_fault", "other"), ("other", "other")}


def test_order() -> None:
    """Clusters that come and go stand at the end, the newest last, so that a page that is full leaves out those."""
    job = answer("z", cluster_source="JOB", start_time=1)
    kept = record(answer("b", start_time=9), job, answer("a", start_time=9), answer("c", start_time=3))

    assert [one.cluster_id for one in kept.clusters] == ["c", "a", "b", "z"]


@pytest.mark.parametrize("source", [*GENERATED, "ui"])
def test_names(source: str) -> None:
    """A name that Databricks made up is told nowhere."""
    name = record(answer(cluster_source=source.upper(), cluster_name="job-1-run-2")).clusters[0].name

    assert name == ("job-1-run-2" if source == "ui" else "")


def test_never() -> None:
    """Zero and absent times mean never, and what is not told stands on no page."""
    bare = record(msgspec.convert({"cluster_id": "a", "start_time": 0, "last_activity_time": None}, Answer))
    told = {sample.metric.name for sample in collector.samples(bare)}

    assert told == {
        "databricks_cluster_info",
        "databricks_cluster_state",
        "databricks_cluster_workers",
        "databricks_cluster_terminations_total",
        "databricks_cluster_terminations_untold_total",
    }


def test_nothing_secret() -> None:
    """No page and no stored record holds settings, addresses or names of users."""
    with looking(sizes=BUSY) as one:
        kept = look(one)
        told = page(collector.METRICS, collector.samples(kept)) + encoded(kept).decode("latin-1")

    assert "someone@example.com" not in told
    assert "{{" not in told
    # The driver's address is what Prometheus is told to scrape, by /sd alone.
    assert "10.0.0." not in page(collector.METRICS, collector.samples(kept))
    assert "AccessDenied" not in told


@pytest.mark.parametrize("stored", [b"", b"\x80", b"nonsense", b"\x81\xa9workspace\x01"])
def test_bad_stored(stored: bytes) -> None:
    """What is no record raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        decoded(stored)
