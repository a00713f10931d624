"""What a person must look at first: each kind of problem, and what is none."""

from __future__ import annotations

import msgspec
import pytest

from exporter.problems import Problem, problems
from exporter.snapshot import Outcome
from exporter.streaming import driver, metrics
from exporter.streaming.expected import Inventory, Watched
from exporter.streaming.state import Driver, Query
from exporter.streaming.view import AppView

NOW = 1_795_000_000.0
DRIVER = Driver("e", "etl", "app-1", NOW - 9000, last_contact=NOW - 1)
QUERY = Query("etl", "orders", "id", "run", "e", trigger="ProcessingTimeTrigger(10000)", last_signal=NOW - 5)


def told(query: Query = QUERY, known: Driver = DRIVER, *, fresh: bool = True) -> list[Problem]:
    return list(problems([AppView("etl", known, {}, (query,), fresh, known.ended_at is not None)], {}, NOW))


def having(**changed: object) -> Query:
    return msgspec.structs.replace(QUERY, **changed)


def driving(**changed: object) -> Driver:
    return msgspec.structs.replace(DRIVER, **changed)


def test_nothing() -> None:
    """A stream that gives signs of life, of a driver that answers, is no problem."""
    assert told() == []


@pytest.mark.parametrize(
    ("trigger", "silent", "stalled"),
    [
        ("ProcessingTimeTrigger(10000)", 300, False),
        ("ProcessingTimeTrigger(10000)", 301, True),
        ("ProcessingTimeTrigger(600000)", 3000, False),
        ("ProcessingTimeTrigger(600000)", 3001, True),
        ("AvailableNowTrigger", 301, True),
        (None, 301, True),
    ],
)
def test_stalled(trigger: str | None, silent: float, stalled: bool) -> None:  # noqa: FBT001 -- one column of the table above
    """A stream stands still when it gave no sign of life for five of its trigger's intervals, and five minutes."""
    assert [one.kind for one in told(having(trigger=trigger, last_signal=NOW - silent))] == ["stream_stalled"] * stalled


def test_stalled_from_the_start() -> None:
    """A stream that never gave another sign of life than its start stands still since then."""
    assert told(having(last_signal=None, started_at=NOW - 400)) == [
        Problem(
            "critical",
            "stream_stalled",
            "etl",
            "orders",
            "No start, progress or idle event; 300 seconds without one are allowed.",
            NOW - 400,
        )
    ]


def test_a_silent_driver_is_one_problem() -> None:
    """Of a driver that does not answer, nobody can say that its streams stand still: it is the problem itself."""
    silent = driving(reachable=False, last_contact=NOW - 500)

    assert told(having(last_signal=NOW - 500), silent, fresh=False) == [
        Problem("critical", "driver_unreachable", "etl", "", "What is shown of its streams is what was last known.", NOW - 500)
    ]


def test_a_lost_driver_is_one_problem() -> None:
    """A driver that was lost is told once, with the number of streams that went with it."""
    lost = driving(reachable=False, refusals=2, ended_at=NOW - 60)
    query = having(active=False, ended_at=NOW - 60, ended_class="driver_lost", last_failures={"driver_lost": NOW - 60})

    assert told(query, lost) == [
        Problem("critical", "driver_lost", "etl", "", "It is gone without a word, and 1 of its streams with it.", NOW - 60)
    ]


def test_a_driver_that_ended_is_none() -> None:
    """A driver that said its last words, and a stream that was stopped with it, are no problems."""
    query = having(active=False, ended_at=NOW - 60, ended_class="stopped")

    assert told(query, driving(reachable=False, ended_at=NOW - 60)) == []


def test_a_stream_that_its_next_driver_lacks() -> None:
    """A stream that was lost with a driver, and that the application's next driver did not start, is a problem."""
    query = having(epoch="before", active=False, ended_at=NOW - 60, ended_class="driver_lost")

    assert told(query) == [
        Problem(
            "critical",
            "stream_lost",
            "etl",
            "orders",
            "It ended with its driver, and was not started again in the next one.",
            NOW - 60,
        )
    ]


def test_failed() -> None:
    """A stream whose newest run failed is a problem for as long as it is shown."""
    query = having(
        active=False, ended_at=NOW - 2000, ended_class="oom", last_failures={"oom": NOW - 2000, "network": NOW - 3000}
    )

    assert told(query) == [
        Problem(
            "critical",
            "stream_failed",
            "etl",
            "orders",
            "Its newest run ended as oom, and it was not started again.",
            NOW - 2000,
        )
    ]


def test_untold() -> None:
    """A stream whose end was lost is a warning: it runs no more, and nobody says that it failed."""
    query = having(active=False, ended_at=NOW - 30, ended_class="untold")

    assert told(query) == [
        Problem(
            "warning",
            "stream_ended_untold",
            "etl",
            "orders",
            "Its driver lists it no more, and how it ended was not told.",
            NOW - 30,
        )
    ]


@pytest.mark.parametrize(("ago", "kinds"), [(899, ["stream_failed_recently"]), (900, [])])
def test_failed_and_runs_again(ago: float, kinds: list[str]) -> None:
    """A stream that failed and runs again is worth a warning for a quarter of an hour; with its driver lost, none."""
    assert [one.kind for one in told(having(last_failures={"oom": NOW - ago}))] == kinds
    assert told(having(last_failures={"driver_lost": NOW - ago})) == []


@pytest.mark.parametrize(("ahead", "kinds"), [(300, []), (301, ["watermark_in_future"])])
def test_watermark(ahead: float, kinds: list[str]) -> None:
    """A watermark that is more than five minutes in the future is a problem while the driver answers."""
    query = having(gauges={(metrics.WATERMARK.name,): NOW + ahead})

    assert [one.kind for one in told(query)] == kinds
    assert told(query, fresh=False) == []


NEVER = " It was never seen."
NO_APP = " No driver of its application is there."
EVERY_HOUR = "No sign of life; one is expected at least every 3600 seconds."


def expecting(watched: Watched, *queries: Query, known: Driver = DRIVER) -> list[tuple[str, str]]:
    """Kind and text of what is told where `watched` is expected of an application with `queries`."""
    view = AppView("etl", known, {}, queries, fresh=True, ended=known.ended_at is not None)
    return [(one.kind, one.text) for one in problems([view], {}, NOW, [Inventory((watched,))])]


def waiting(**changed: object) -> Watched:
    """An expected stream that ran an hour ago, of an exporter that has watched for two."""
    whole = Watched("etl", "orders", None, active=False, last_signal=NOW - 3600, since=NOW - 7200)
    return msgspec.structs.replace(whole, **changed)


def test_expected_stream_that_is_missing() -> None:
    """An expected stream that does not run is critical since its last sign of life."""
    assert problems([], {}, NOW, [Inventory((waiting(),))]) == (
        Problem("critical", "stream_missing", "etl", "orders", f"Expected, and not running.{NO_APP}", NOW - 3600),
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, [("stream_missing", "Expected, and not running.")]),
        ({"active": True}, []),
        ({"last_signal": None}, [("stream_missing", f"Expected, and not running.{NEVER}")]),
        ({"last_signal": None, "app": "x"}, [("stream_missing", f"Expected, and not running.{NEVER}{NO_APP}")]),
        ({"last_signal": None, "since": NOW - 59}, []),
        ({"last_signal": NOW - 1, "since": NOW - 59}, []),
        ({"ended_at": NOW - 59}, []),
        ({"ended_at": NOW - 60}, [("stream_missing", "Expected, and not running.")]),
        ({"interval": 3600.0}, []),
        ({"interval": 3599.0}, [("stream_overdue", EVERY_HOUR.replace("3600", "3599"))]),
        ({"interval": 3600.0, "last_signal": None}, [("stream_overdue", f"{EVERY_HOUR}{NEVER}")]),
        ({"interval": 3600.0, "last_signal": None, "since": NOW - 3600}, []),
        ({"interval": 30.0, "last_signal": None, "since": NOW - 59}, []),
        ({"interval": 3600.0, "last_signal": NOW - 3601, "active": True}, [("stream_overdue", EVERY_HOUR)]),
    ],
)
def test_expected(changed: dict[str, object], told: list[tuple[str, str]]) -> None:
    """One that must run always is missed when it does not, another one when it is late; both after a minute's grace."""
    assert expecting(waiting(**changed)) == told


@pytest.mark.parametrize(
    ("ended", "kinds"),
    [
        ("oom", ["stream_failed"]),
        ("untold", ["stream_ended_untold"]),
        ("driver_lost", []),
        ("stopped", ["stream_missing"]),
        ("finished", ["stream_missing"]),
    ],
)
def test_expected_stream_that_is_told_already(ended: str, kinds: list[str]) -> None:
    """What is told as failed, lost or untold is not told again as missing; a stream that was stopped is missed."""
    query = having(active=False, ended_at=NOW - 9, ended_class=ended)

    assert [kind for kind, _ in expecting(waiting(), query)] == kinds


def test_expected_stream_of_an_application_that_ended() -> None:
    """An application whose driver has ended is not there, though it is still shown."""
    ended = driving(reachable=False, ended_at=NOW - 60)

    assert expecting(waiting(), known=ended) == [("stream_missing", f"Expected, and not running.{NO_APP}")]


def test_order() -> None:
    """The gravest first, and of those the newest; lost events are a note, for their count never goes back."""
    views = [
        AppView("b", driving(app="b", reachable=False, last_contact=NOW - 9), {}, (), fresh=True, ended=False),
        AppView(
            "a", DRIVER, {(driver.EVENTS_LOST.name,): 3.0}, (having(last_failures={"oom": NOW - 1}),), fresh=True, ended=False
        ),
        AppView("c", driving(app="c", reachable=False, last_contact=NOW - 5), {}, (), fresh=True, ended=False),
    ]

    assert [(one.severity, one.kind, one.app) for one in problems(views, {}, NOW)] == [
        ("critical", "driver_unreachable", "c"),
        ("critical", "driver_unreachable", "b"),
        ("warning", "stream_failed_recently", "etl"),
        ("note", "events_lost", "a"),
    ]


@pytest.mark.parametrize(
    ("outcome", "texts"),
    [
        (Outcome(succeeded=True, last_success=NOW - 60), []),
        (Outcome(succeeded=True, last_success=NOW - 61), ["The collector drivers has not looked: what is shown is old."]),
        (Outcome(failures={"storage": 2, "timeout": 0}), ["The collector drivers fails (storage)."]),
        (Outcome(), ["The collector drivers fails (reason unknown)."]),
    ],
)
def test_collectors(outcome: Outcome, texts: list[str]) -> None:
    """A collector that fails as a whole, or that has not looked for a minute, is a problem; a driver is told by itself."""
    found = problems([], {("drivers", ""): outcome, ("drivers", "etl"): Outcome()}, NOW)

    assert [one.text for one in found] == texts


def test_collector_of_a_workspace() -> None:
    """A workspace's collector that fails is told with the workspace; how old what it found is, is told by its series alone."""
    failing, old = Outcome(False, None, NOW - 9, {"forbidden": 1}), Outcome(True, None, NOW - 9_999, {})

    assert problems([], {("jobs", "prod"): failing, ("clusters", "prod"): old}, NOW) == (
        Problem(
            "critical", "collector_failing", "", "", "The collector jobs of the workspace prod fails (forbidden).", NOW - 9
        ),
    )
