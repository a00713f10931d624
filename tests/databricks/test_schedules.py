"""Claims on how due times are classed from the runs that were seen, and that each is counted once."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.databricks.schedules import Class, Cron, Interval, JobRun, Look, Watch, gaps, look

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

# A Sunday, midnight in UTC: each schedule below is first seen half an hour before it.
MIDNIGHT = datetime(2026, 11, 22, tzinfo=timezone.utc).timestamp()
HOURLY = Cron("0 0 * * * ?", "UTC")
MINUTELY = Cron("0 * * * * ?", "UTC")


def periodic(start: float, *, queued: bool = False, skipped: bool = False) -> JobRun:
    return JobRun(start, "periodic", queued=queued, skipped=skipped)


def first_look(trigger: Cron | Interval, at: float = MIDNIGHT - HOUR / 2) -> Watch:
    watch = look(None, trigger, [], at, seen_since=0.0).watch
    assert watch is not None
    return watch


def second_look(trigger: Cron | Interval, runs: Sequence[JobRun], now: float, seen_since: float = 0.0) -> Look:
    return look(first_look(trigger), trigger, runs, now, seen_since=seen_since)


CLASSED: dict[str, tuple[JobRun, dict[Class, int], tuple[float, ...]]] = {
    "at once": (periodic(MIDNIGHT + 3), {"on_time": 1}, (3.0,)),
    # Clocks differ.
    "a moment early": (periodic(MIDNIGHT - 1), {"on_time": 1}, (0.0,)),
    "at the end of the tolerance": (periodic(MIDNIGHT + 60), {"on_time": 1}, (60.0,)),
    "after the tolerance": (periodic(MIDNIGHT + 61), {"late": 1}, (61.0,)),
    "at the end of the grace": (periodic(MIDNIGHT + 600), {"late": 1}, (600.0,)),
    "after the grace": (periodic(MIDNIGHT + 601), {"missing": 1}, ()),
    "in the queue": (periodic(MIDNIGHT + 2, queued=True), {"queued": 1}, ()),
    "skipped": (periodic(MIDNIGHT + 2, skipped=True), {"skipped": 1}, ()),
    "skipped after it had waited": (periodic(MIDNIGHT + 2, queued=True, skipped=True), {"skipped": 1}, ()),
    "by hand": (JobRun(MIDNIGHT + 2, "one_time"), {"missing": 1}, ()),
    "once more": (JobRun(MIDNIGHT + 2, "retry"), {"missing": 1}, ()),
    "before it was due": (periodic(MIDNIGHT - 5), {"missing": 1}, ()),
}


@pytest.mark.parametrize("how", CLASSED)
def test_a_due_time_is_classed_from_the_run_that_came(how: str) -> None:
    run, counts, delays = CLASSED[how]

    told = second_look(HOURLY, [run], MIDNIGHT + 20 * MINUTE)

    assert told == Look(Watch(HOURLY, MIDNIGHT, begun=True), counts, delays, MIDNIGHT + HOUR)


def test_a_run_that_is_there_the_moment_it_is_due_is_counted() -> None:
    assert second_look(HOURLY, [periodic(MIDNIGHT)], MIDNIGHT).counts == {"on_time": 1}


def test_a_run_that_seems_a_moment_early_is_not_the_late_one_of_the_due_time_before() -> None:
    assert second_look(MINUTELY, [periodic(MIDNIGHT + 59)], MIDNIGHT + 61, seen_since=MIDNIGHT).counts == {}


def test_a_look_that_is_repeated_adds_nothing() -> None:
    runs = [periodic(MIDNIGHT + 3)]
    first = second_look(HOURLY, runs, MIDNIGHT + MINUTE)
    again = look(first.watch, HOURLY, runs, MIDNIGHT + MINUTE, seen_since=0.0)

    assert first.counts == {"on_time": 1}
    assert again == Look(first.watch, {}, (), MIDNIGHT + HOUR)


def test_a_run_that_has_not_come_is_waited_for_until_the_grace_has_passed() -> None:
    waiting = second_look(HOURLY, [], MIDNIGHT + 600)
    over = look(waiting.watch, HOURLY, [], MIDNIGHT + 601, seen_since=0.0)

    assert waiting == Look(Watch(HOURLY, MIDNIGHT - HOUR / 2, begun=True), {}, (), MIDNIGHT + HOUR)
    assert over.counts == {"missing": 1}


def test_what_is_due_after_a_run_that_is_waited_for_is_classed_after_it() -> None:
    runs = [periodic(MIDNIGHT + MINUTE * minute) for minute in (0, 2, 3)]
    waiting = second_look(MINUTELY, runs, MIDNIGHT + 4 * MINUTE - 1, seen_since=MIDNIGHT)
    over = look(waiting.watch, MINUTELY, runs, MIDNIGHT + 12 * MINUTE - 1, seen_since=MIDNIGHT)

    assert waiting.counts == {"on_time": 1}
    assert over.counts == {"missing": 1, "on_time": 2}


def test_a_late_run_is_the_newest_due_times_own_and_of_two_the_first_counts() -> None:
    runs = [periodic(MIDNIGHT + 55), periodic(MIDNIGHT + 56), periodic(MIDNIGHT + MINUTE + 50)]
    told = second_look(MINUTELY, runs, MIDNIGHT + MINUTE + 55, seen_since=MIDNIGHT)

    assert (told.counts, told.delays) == ({"on_time": 2}, (55.0, 50.0))


def test_what_was_due_before_the_schedule_was_first_seen_never_counts() -> None:
    first = look(None, HOURLY, [periodic(MIDNIGHT + 3)], MIDNIGHT + MINUTE, seen_since=0.0)
    second = look(first.watch, HOURLY, [periodic(MIDNIGHT + 3)], MIDNIGHT + HOUR / 2, seen_since=0.0)

    assert (first.counts, second.counts) == ({}, {})
    assert first.next_due == MIDNIGHT + HOUR


def test_an_edit_begins_anew_and_what_the_old_schedule_still_waited_for_does_not_count() -> None:
    waiting = second_look(HOURLY, [], MIDNIGHT + MINUTE)
    edited = Cron("0 10 * * * ?", "UTC")
    first = look(waiting.watch, edited, [], MIDNIGHT + 20 * MINUTE, seen_since=0.0)
    second = look(first.watch, edited, [], MIDNIGHT + 81 * MINUTE, seen_since=0.0)

    assert first == Look(Watch(edited, MIDNIGHT + 20 * MINUTE, begun=True), {}, (), MIDNIGHT + 70 * MINUTE)
    assert second.counts == {"missing": 1}


def test_while_a_job_is_paused_nothing_is_due() -> None:
    paused = look(first_look(HOURLY), None, [], MIDNIGHT + HOUR / 2, seen_since=0.0)
    unpaused = look(paused.watch, HOURLY, [], MIDNIGHT + 2.5 * HOUR, seen_since=0.0)
    later = look(unpaused.watch, HOURLY, [], MIDNIGHT + 3.5 * HOUR, seen_since=0.0)

    assert paused == Look(None, {}, (), None)
    assert unpaused.counts == {}
    assert later.counts == {"missing": 1}


def test_after_a_gap_in_looking_due_times_are_classed_as_far_back_as_runs_are_known() -> None:
    runs = [periodic(MIDNIGHT + 4 * HOUR + 2), periodic(MIDNIGHT + 6 * HOUR + 90)]
    told = second_look(HOURLY, runs, MIDNIGHT + 6.5 * HOUR, seen_since=MIDNIGHT + 3.5 * HOUR)

    assert told.counts == {"on_time": 1, "missing": 1, "late": 1}


def test_a_schedule_that_is_due_more_often_than_databricks_runs_it_is_not_judged() -> None:
    told = second_look(Cron("*/5 * * * * ?", "UTC"), [periodic(MIDNIGHT + 2)], MIDNIGHT + 20 * MINUTE)

    assert told.counts == {}


def test_of_two_due_times_that_are_too_close_for_two_runs_the_first_counts() -> None:
    told = second_look(Cron("0,5 0 * * * ?", "UTC"), [periodic(MIDNIGHT + 4)], MIDNIGHT + 20 * MINUTE)

    assert (told.counts, told.delays) == ({"on_time": 1}, (4.0,))


def test_one_look_classes_a_thousand_due_times_and_the_next_goes_on() -> None:
    watch: Watch | None = first_look(MINUTELY)
    counts = []
    for _ in range(3):
        told = look(watch, MINUTELY, [], MIDNIGHT + DAY, seen_since=0.0)
        counts.append(told.counts)
        watch = told.watch

    # 23:31 on the eve to 23:49 on the day: what is due after that is waited for.
    assert counts == [{"missing": 1_000}, {"missing": 459}, {}]


def test_a_conditional_schedule_misses_nothing() -> None:
    conditional = Cron("0 0 * * * ?", "UTC", conditional=True)
    told = second_look(conditional, [periodic(MIDNIGHT + HOUR + 2)], MIDNIGHT + 2.5 * HOUR)

    assert told.counts == {"on_time": 1}


def test_in_an_hour_that_comes_twice_a_run_counts_and_its_absence_does_not() -> None:
    berlin = Cron("0 30 * * * ?", "Europe/Berlin")
    one, two, now = (
        datetime.fromisoformat(f"2026-10-25T{text}").timestamp() for text in ("00:45+02:00", "02:30+01:00", "04:00+01:00")
    )
    absent = look(first_look(berlin, one), berlin, [], now, seen_since=0.0)
    present = look(first_look(berlin, one), berlin, [periodic(two)], now, seen_since=0.0)

    assert absent.counts == {"missing": 2}
    assert present.counts == {"missing": 2, "on_time": 1}


def test_a_schedule_that_is_never_due_again_is_due_at_no_time() -> None:
    over = Cron("0 0 6 * * ? 2020", "UTC")

    assert second_look(over, [], MIDNIGHT + DAY) == Look(Watch(over, MIDNIGHT - HOUR / 2, begun=True), {}, (), None)


def test_the_last_due_time_of_all_has_its_run() -> None:
    last = Cron("0 0 0 22 11 ? 2026", "UTC")

    assert second_look(last, [periodic(MIDNIGHT + 2)], MIDNIGHT + MINUTE) == Look(
        Watch(last, MIDNIGHT, begun=True), {"on_time": 1}, (2.0,), None
    )


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (Cron("0 0 25 * * ?", "UTC"), "hours: 25 is not within 0-23"),
        (Cron("0 0 6 * * ?", "Europe/Berlim"), "unknown time zone 'Europe/Berlim'"),
        (Interval(0.0), "an interval of 0.0 seconds"),
    ],
)
def test_a_trigger_that_can_not_be_meant_is_an_error_that_says_why(trigger: Cron | Interval, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole text is compared below
        look(None, trigger, [], MIDNIGHT, seen_since=0.0)

    assert str(error.value) == message


EVERY_6_HOURS = Interval(6 * HOUR)


def interval_look(runs: Sequence[JobRun], now: float) -> Look:
    return second_look(EVERY_6_HOURS, runs, now)


def test_an_interval_is_counted_from_the_first_run_that_is_seen() -> None:
    assert interval_look([periodic(MIDNIGHT - HOUR)], MIDNIGHT + DAY) == Look(
        Watch(EVERY_6_HOURS, MIDNIGHT - HOUR / 2, begun=False), {}, (), None
    )
    assert interval_look([periodic(MIDNIGHT - HOUR), periodic(MIDNIGHT + HOUR)], MIDNIGHT + 2 * HOUR) == Look(
        Watch(EVERY_6_HOURS, MIDNIGHT + HOUR, begun=True), {}, (), MIDNIGHT + 7 * HOUR
    )


@pytest.mark.parametrize("third", [12 * HOUR, 12 * HOUR + 300])
def test_after_a_late_run_the_next_may_keep_the_old_times_or_those_of_the_late_one(third: float) -> None:
    runs = [periodic(MIDNIGHT + after) for after in (0, 6 * HOUR + 300, third)]
    told = interval_look(runs, MIDNIGHT + 13 * HOUR)

    assert told == Look(
        Watch(EVERY_6_HOURS, MIDNIGHT + third, begun=True), {"late": 1, "on_time": 1}, (300.0, 0.0), MIDNIGHT + third + 6 * HOUR
    )


def test_an_interval_without_a_run_is_missing_and_the_next_is_due_an_interval_later() -> None:
    runs = [periodic(MIDNIGHT), periodic(MIDNIGHT + 18 * HOUR + 5)]
    told = interval_look(runs, MIDNIGHT + 19 * HOUR)

    assert (told.counts, told.delays) == ({"missing": 2, "on_time": 1}, (5.0,))


def test_a_run_of_an_interval_that_is_nearer_to_the_next_due_time_is_the_next_ones() -> None:
    runs = [periodic(MIDNIGHT), periodic(MIDNIGHT + 1_400)]
    told = second_look(Interval(900.0), runs, MIDNIGHT + 1_800)

    assert (told.counts, told.delays) == ({"missing": 1, "on_time": 1}, (0.0,))


def test_the_next_run_of_an_interval_lies_ahead_while_one_is_waited_for() -> None:
    told = interval_look([periodic(MIDNIGHT)], MIDNIGHT + 6 * HOUR + MINUTE)

    assert (told.counts, told.next_due) == ({}, MIDNIGHT + 12 * HOUR)


@given(
    st.sampled_from([HOURLY, MINUTELY, Cron("0 */7 * ? * SUN", "Europe/Berlin"), Cron("0 30 2 * * ?", "UTC"), Interval(900.0)]),
    st.lists(
        st.builds(
            JobRun,
            st.integers(0, 40_000).map(lambda seconds: MIDNIGHT + seconds),
            st.sampled_from(["periodic", "periodic", "periodic", "retry"]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=40,
        unique_by=lambda run: run.start,
    ),
    st.lists(st.integers(0, 40_000), max_size=12).map(sorted),
)
def test_many_looks_count_what_one_look_counts(trigger: Cron | Interval, runs: list[JobRun], looks: list[int]) -> None:
    begin = first_look(trigger, MIDNIGHT)
    whole = look(begin, trigger, runs, MIDNIGHT + 40_000, seen_since=0.0)
    watch: Watch | None = begin
    counts: Counter[str] = Counter()
    delays: list[float] = []
    for now in [*looks, 40_000]:
        seen = [run for run in runs if run.start <= MIDNIGHT + now]
        told = look(watch, trigger, seen, MIDNIGHT + now, seen_since=0.0)
        watch = told.watch
        counts.update(told.counts)
        delays += told.delays

    assert (counts, delays, watch) == (Counter(whole.counts), list(whole.delays), whole.watch)


@pytest.mark.parametrize("trigger", [HOURLY, EVERY_6_HOURS])
def test_what_is_carried_can_be_stored(trigger: Cron | Interval) -> None:
    watch = first_look(trigger)

    assert msgspec.json.decode(msgspec.json.encode(watch), type=Watch) == watch


def continuous(start: float, end: float | None) -> JobRun:
    return JobRun(MIDNIGHT + start, "continuous", end=None if end is None else MIDNIGHT + end)


def test_the_gaps_of_a_continuous_job_are_told_when_the_next_run_has_started_and_once() -> None:
    ended, restarted = continuous(-500, 100), JobRun(MIDNIGHT + 130, "continuous_restart", end=MIDNIGHT + 400)
    looks = [
        [ended],
        [ended, restarted],
        [restarted, ended],
        [ended, restarted, continuous(410, None), JobRun(MIDNIGHT + 405, "one_time")],
    ]
    told = []
    counted = MIDNIGHT
    for runs in looks:
        seconds, counted = gaps(runs, counted)
        told.append(seconds)

    assert told == [(), (30.0,), (), (10.0,)]
    assert counted == MIDNIGHT + 410


def test_a_gap_that_began_before_a_continuous_job_was_first_seen_is_not_told() -> None:
    assert gaps([continuous(-500, -400), continuous(20, None)], MIDNIGHT) == ((), MIDNIGHT + 20)
    assert gaps([continuous(-500, -400), continuous(20, 30), continuous(35, None)], MIDNIGHT) == ((5.0,), MIDNIGHT + 35)


def test_a_run_whose_end_is_not_told_yet_holds_up_the_gaps_after_it() -> None:
    later = [continuous(20, 30), continuous(35, None)]

    assert gaps([continuous(-500, None), *later], MIDNIGHT) == ((), MIDNIGHT)
    assert gaps([continuous(-500, 10), *later], MIDNIGHT) == ((10.0, 5.0), MIDNIGHT + 35)


def test_two_runs_that_overlap_have_a_gap_of_nothing_and_once() -> None:
    runs = [continuous(-500, 100), continuous(90, None)]

    assert gaps(runs, MIDNIGHT) == ((0.0,), MIDNIGHT + 90)
    assert gaps(runs, MIDNIGHT + 90) == ((), MIDNIGHT + 90)


@given(st.lists(st.integers(0, 1_000), unique=True, min_size=2, max_size=12).map(sorted))
def test_the_gaps_are_the_time_between_runs(bounds: list[int]) -> None:
    runs = [continuous(start, end) for start, end in pairwise(bounds)][::2]
    told, _ = gaps(runs, MIDNIGHT)

    assert list(told) == [later.start - (earlier.end or 0.0) for earlier, later in pairwise(runs)]
