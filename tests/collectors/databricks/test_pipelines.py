"""Pipelines of a simulated workspace on a page, and the ends of their updates, each counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from exporter.collectors.databricks import identity
from exporter.collectors.databricks import pipelines as collector
from exporter.databricks.pipelines import (
    ENDS,
    KEPT_UPDATES,
    MAX_GONE,
    REMEMBERED_SECONDS,
    STATES,
    UPDATE_STATES,
    Answer,
    Pipelines,
    UpdateAnswer,
    decoded,
    encoded,
    folded,
    pipeline,
    seconds,
)
from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.world.sizes import Sizes
from exporter.errors import Reason, SourceError
from tests.collectors.databricks.workspaces import NAME, Looking, looking, page, values

LIST = "/api/2.0/pipelines"
FEW = Sizes(1, 60, 0, 0, 0, 0, 1, 1, 4, 1, 0, 6.0)
MANY = Sizes(1, 60, 0, 0, 0, 0, 1, 1, 150, 1, 0, 0.2)
NOW = 1_800_000_000.0
TIME = "2027-01-15T07:59:00.000Z"
STARTED = NOW - 60


def look(one: Looking, after: float = 60.0) -> Pipelines:
    record: Pipelines = one.look("pipelines", collector.fetch, after)
    return record


def listed(*states: str, created: str | None = TIME) -> dict[str, Answer]:
    """A pipeline `a` whose updates are in these states, the newest first; the first one of all is `u1`."""
    updates = (
        UpdateAnswer(f"u{number}", state, created) for number, state in zip(range(len(states), 0, -1), states, strict=True)
    )
    return {"a": Answer("a", state="RUNNING", latest_updates=tuple(updates))}


def ended(record: Pipelines) -> dict[str, int]:
    return record.ended["a"].counts


def test_page(golden: Callable[[str, str], None]) -> None:
    """A whole page, after half a day of looks."""
    with looking(sizes=FEW) as one:
        for _ in range(12 * 60):
            record = look(one)

    golden("databricks-pipelines.prom", page(collector.METRICS, collector.samples(record)))


def test_every_end_once() -> None:
    """In 24 hours each update's end is counted once, by state, also across restarts, failures and odd pages."""
    with looking(sizes=FEW) as one:
        look(one)
        logs = one.there.world.pipelines
        ended_before = {update.update_id for log in logs.values() for update in log.updates if update.state.lower() in ENDS}
        for minute in range(24 * 60):
            if minute % 60 == 0:
                one.records["pipelines"] = decoded(encoded(one.records["pipelines"]))
                one.there.faults(*((Fault(Kind.SMALL_PAGES), Fault(Kind.SHIFTING)) if minute % 120 else (Fault(Kind.STRINGS),)))
            look(one)
        record = look(one)
        happened = Counter(
            (pipeline_id, update.state.lower())
            for pipeline_id, log in logs.items()
            for update in log.updates
            if update.state.lower() in ENDS and update.update_id not in ended_before
        )
        asked = one.asked(LIST)
    counted = values(collector.samples(record), collector.UPDATES)

    assert {state for _, state in happened} == set(ENDS)
    assert {key: count for key, count in counted.items() if count} == happened
    assert len(counted) == len(logs) * len(ENDS)
    assert asked < 3 * 24 * 60


def test_life() -> None:
    """Over half a day each state of pipelines and updates, and their health, is told as it is over there."""
    seen = set()
    with looking(sizes=FEW) as one:
        for _ in range(12 * 20):
            told = list(collector.samples(look(one, 180)))
            states = {key for key, value in values(told, collector.UPDATE_STATE).items() if value}
            there = one.there.world.pipelines.items()

            assert states == {(pipeline_id, log.updates[-1].state.lower()) for pipeline_id, log in there if log.updates}
            assert values(told, collector.UPDATE_STARTED) == {
                (pipeline_id,): log.updates[-1].created / 1000 for pipeline_id, log in there if log.updates
            }
            assert values(told, collector.HEALTHY) == {
                (pipeline_id,): not log.updates or log.updates[-1].state != "FAILED" for pipeline_id, log in there
            }
            assert {key[:2] for key in values(told, collector.INFO)} == {
                (pipeline_id, log.pipeline.name) for pipeline_id, log in there
            }
            seen |= {state for (_, state), value in values(told, collector.STATE).items() if value}

    assert seen >= {"idle", "running", "starting", "failed"}


@pytest.mark.parametrize("kind", [Kind.STRINGS, Kind.EMPTY_TOKEN, Kind.UNKNOWN_FIELDS, Kind.SHIFTING, Kind.BROKEN_ITEMS])
def test_odd_answers(kind: Kind) -> None:
    """What is told of pipelines is the same, however Databricks spells numbers and cuts its list."""
    with looking(sizes=MANY) as one:
        plain = look(one)
        one.there.faults(Fault(kind))

        assert look(one, 0.0) == plain
        assert plain.visible == 150
        assert one.asked(LIST) == 4


def test_unknown_values() -> None:
    """A state and a health that nobody knows are `other` and absent."""
    with looking(sizes=FEW) as one:
        one.there.faults(Fault(Kind.UNKNOWN_VALUES))
        record = look(one)
        told = list(collector.samples(record))

    first = record.pipelines[0].pipeline_id
    assert values(told, collector.STATE)[first, "other"] == 1
    assert values(told, collector.UPDATE_STATE)[first, "other"] == 1
    assert (first,) not in values(told, collector.HEALTHY)


def test_bare() -> None:
    """Of a pipeline that tells but its id nothing is made up, and its counters stand at 0."""
    told = list(collector.samples(folded(None, NAME, {"a": Answer("a")}, NOW)))

    assert {sample.metric for sample in told} == {collector.INFO, collector.STATE, collector.UPDATES}
    assert values(told, collector.STATE) == {("a", state): int(state == "other") for state in STATES}
    assert values(told, collector.UPDATES) == {("a", state): 0 for state in ENDS}


def test_first_look_adds_nothing() -> None:
    """What ended before the first look is not counted, then or later; when it was started is told."""
    first = folded(None, NAME, listed("FAILED", "COMPLETED", "CANCELED"), NOW)
    second = folded(first, NAME, listed("FAILED", "COMPLETED", "CANCELED"), NOW + 60)

    assert (ended(first), ended(second)) == ({}, {})
    assert second.ended["a"].last == {"failed": STARTED, "completed": STARTED, "canceled": STARTED}


def test_open_at_first_sight() -> None:
    """An update that was going on at the first look counts when it ends, and was over then at the latest."""
    first = folded(None, NAME, listed("RUNNING", "COMPLETED"), NOW)
    second = folded(first, NAME, listed("FAILED", "COMPLETED"), NOW + 60)
    third = folded(second, NAME, listed("FAILED", "COMPLETED"), NOW + 120)

    assert [ended(one) for one in (first, second, third)] == [{}, {"failed": 1}, {"failed": 1}]
    assert third.ended["a"].last == {"completed": STARTED, "failed": NOW + 60}


def test_between_two_looks() -> None:
    """Updates that came and went between two looks count; each was over when the next one was started."""
    first = folded(None, NAME, listed("COMPLETED"), NOW)
    second = folded(first, NAME, listed("COMPLETED", "FAILED", "COMPLETED"), NOW + 3600)

    assert ended(second) == {"completed": 1, "failed": 1}
    assert second.ended["a"].last == {"completed": NOW + 3600, "failed": STARTED}


def test_new_pipeline() -> None:
    """Of a pipeline that is new what was started since the last look counts, and nothing that is older or untold."""
    before = folded(None, NAME, {}, STARTED - 1)
    later = folded(None, NAME, {}, STARTED + 1)

    assert ended(folded(before, NAME, listed("FAILED"), NOW)) == {"failed": 1}
    assert ended(folded(later, NAME, listed("FAILED"), NOW)) == {}
    assert ended(folded(before, NAME, listed("FAILED", created=None), NOW)) == {}


def test_left_out_for_once() -> None:
    """A pipeline and an update that a list leaves out count no second time when they are back; one that is gone has no series."""
    first = folded(folded(None, NAME, listed("RUNNING"), NOW), NAME, listed("COMPLETED"), NOW + 1)
    gone = folded(folded(first, NAME, listed(), NOW + 2), NAME, {}, NOW + 3)
    back = folded(gone, NAME, listed("COMPLETED"), NOW + 4)

    assert list(collector.samples(gone)) == []
    assert ended(back) == {"completed": 1}


def test_forgotten() -> None:
    """Pipelines that are gone are forgotten after 30 days, and of too many those that went first."""
    record = folded(None, NAME, listed("COMPLETED"), NOW)
    many = folded(record, NAME, {str(number): Answer(str(number)) for number in range(MAX_GONE)}, NOW + 1)

    assert folded(record, NAME, {}, NOW + REMEMBERED_SECONDS).ended == {}
    assert "a" in many.ended
    assert set(folded(many, NAME, {}, NOW + 2).ended) == set(many.ended) - {"a"}


def test_ids_are_bounded() -> None:
    """No more ids of updates are kept than can come again."""
    record = None
    for number in range(3 * KEPT_UPDATES):
        answer = Answer("a", latest_updates=(UpdateAnswer(str(number), "COMPLETED", TIME),))
        record = folded(record, NAME, {"a": answer}, NOW + number)

    assert record is not None
    assert len(record.ended["a"].updates) == KEPT_UPDATES
    assert ended(record) == {"completed": 3 * KEPT_UPDATES - 1}


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (TIME, STARTED),
        ("2027-01-15T08:59:00+01:00", STARTED),
        ("2027-01-15T07:59:00", STARTED),
        (int(STARTED * 1000), STARTED),
        (str(int(STARTED * 1000)), STARTED),
        (None, None),
        (0, None),
        ("", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00Z", None),
        ("9" * 5000, None),
    ],
)
def test_times(time: str | int | None, expected: float | None) -> None:
    """A time is a text or milliseconds; what is none, or zero, means never."""
    assert seconds(time) == expected


def test_words() -> None:
    """All words of Databricks are known in small letters."""
    told = pipeline(Answer("a", "n", "DEPLOYING", "UNHEALTHY", "c", (UpdateAnswer("u", "SETTING_UP_TABLES", TIME),)))

    assert (told.state, told.healthy, told.update_state, told.update_started) == (
        "deploying",
        False,
        "setting_up_tables",
        STARTED,
    )
    assert len(set(STATES)) == 10
    assert len(set(UPDATE_STATES)) == 12


def test_visible() -> None:
    """The identity collector tells how many pipelines can be seen; one that is hidden is missing."""
    with looking(sizes=FEW) as one:
        hidden = look(one).pipelines[0].pipeline_id
        one.there.faults(Fault(Kind.UNSEEN, hidden))
        look(one)

        assert identity.visible(one.records) == {"pipelines": 3}


def test_failure() -> None:
    """Where the list is not whole there is no record."""
    with looking(sizes=FEW) as one:
        one.there.faults(Fault(Kind.LOGIN_PAGE))
        with pytest.raises(SourceError) as raised:
            look(one)

    assert raised.value.reason is Reason.BAD_ANSWER


def test_no_users() -> None:
    """Who made a pipeline, and who it runs as, is not even in the record."""
    with looking(sizes=FEW) as one:
        assert b"example.com" not in encoded(look(one))


@pytest.mark.parametrize("stored", [b"", b"\x80", b"nonsense", b"\x81\xa9workspace\x01"])
def test_bad_stored(stored: bytes) -> None:
    """What is no record raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        decoded(stored)
