"""Whether a job's runs came when they were due: each due time is classed once, from the runs that were seen; pure.

Nothing counts from before a trigger was first seen as it now is: an edit or the end of a pause begins anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from exporter.databricks import quartz

Class = Literal["on_time", "late", "queued", "skipped", "missing"]

# Databricks leaves at least this long between two runs of one schedule, whatever its seconds say: what is due sooner after
# another due time has no run of its own, and is not counted.
LEAST_SPACING = 10.0
# No run is made before it is due, but clocks differ.
_EARLY = 2.0
# So that no look takes long, whatever the schedule and however long nobody looked; the next one goes on.
_MOST_DUE = 1_000

# In the words of exporter/databricks/runs.py.
PERIODIC = "periodic"
CONTINUOUS = frozenset({"continuous", "continuous_restart"})


class Cron(msgspec.Struct, frozen=True, tag=True):
    """A job's `schedule`; with `conditional` (its `sql_condition`) a due time without a run is none that is missing."""

    expression: str
    timezone_id: str
    conditional: bool = False


class Interval(msgspec.Struct, frozen=True, tag=True):
    """A job's `trigger.periodic`, in seconds. When its first run starts is Databricks' choice."""

    seconds: float


class Watch(msgspec.Struct, frozen=True):
    """What is carried from look to look: the trigger, and the time up to which it is settled, seconds since 1970.

    An interval is counted from the run at `settled` once it has `begun`; before, its first run is waited for.
    """

    trigger: Cron | Interval
    settled: float
    begun: bool = False


class JobRun(NamedTuple):
    """One run of the job, times in seconds since 1970: `start` is its start_time, `end` None while it goes on.

    `queued` is whether it is in the queue, or was; `skipped` whether it never began, for others of the job ran or waited.
    """

    start: float
    trigger: str
    queued: bool = False
    skipped: bool = False
    end: float | None = None


class Look(NamedTuple):
    """What one look adds: due times by class, delays in seconds of those on time and late, and when the next run is due."""

    watch: Watch | None
    counts: Mapping[Class, int]
    delays: tuple[float, ...]
    next_due: float | None


def look(
    watch: Watch | None,
    trigger: Cron | Interval | None,
    runs: Sequence[JobRun],
    now: float,
    *,
    seen_since: float,
    tolerance: float = 60.0,
    grace: float = 600.0,
) -> Look:
    """Class the due times that can be told by `now`; `trigger` is None for a job that is paused or has neither of the two.

    `runs` holds every run of the job that started at `seen_since` or later; due times before that are passed over. A run
    is late when it started more than `tolerance` seconds after it was due. A due time is missing when no run started
    within `grace` seconds, and until these have passed later ones wait for it. Raises ValueError for an expression, a zone
    or an interval that can't be meant.
    """
    if trigger is None:
        return Look(None, {}, (), None)
    times = _times(trigger)
    started = sorted((run for run in runs if run.trigger == PERIODIC), key=lambda run: run.start)
    watch = _begun(watch, trigger, started, now)
    if not watch.begun:
        return Look(watch, {}, (), None)
    counts: Counter[Class] = Counter()
    delays: list[float] = []
    settled = watch.settled
    for _ in range(_MOST_DUE):
        due = times.after(settled)
        if due is None or due > now:
            break
        if due < seen_since or due - settled < LEAST_SPACING:
            settled = due
            continue
        begin, end = times.runs_of(due)
        first = bisect_left(started, begin, key=lambda run: run.start)
        run = next((run for run in started[first : first + 1] if run.start < end and run.start <= due + grace), None)
        if run is None and now <= due + grace:
            break
        settled = run.start if run and isinstance(trigger, Interval) else due
        if run is None and times.may_be_left_out(due):
            continue
        result = _class(run, due, tolerance)
        counts[result] += 1
        if run and result in {"on_time", "late"}:
            delays.append(max(0.0, run.start - due))
    return Look(Watch(trigger, settled, begun=True), dict(counts), tuple(delays), times.next(settled, now))


def gaps(runs: Sequence[JobRun], counted: float) -> tuple[tuple[float, ...], float]:
    """Seconds without a run of a continuous job, each once, and the `counted` to give the next time.

    A gap is told when the run after it has started, and if it began at `counted` or later: the first time, and after a
    pause, that is now; from then on the start of the newest run that ended a gap.
    """
    told = []
    continuous = sorted((run for run in runs if run.trigger in CONTINUOUS), key=lambda run: run.start)
    for before, after in pairwise(continuous):
        if after.start <= counted:
            continue
        # The list of ended runs may be older than that of running ones.
        if before.end is None:
            break
        if before.end >= counted:
            told.append(max(0.0, after.start - before.end))
        counted = after.start
    return tuple(told), counted


class _Times(NamedTuple):
    """What two kinds of triggers answer: the due time after a time, the span in which the runs of one start, the next."""

    after: Callable[[float], float | None]
    runs_of: Callable[[float], tuple[float, float]]
    next: Callable[[float, float], float | None]
    may_be_left_out: Callable[[float], bool]


def _times(trigger: Cron | Interval) -> _Times:
    return _interval_times(trigger.seconds) if isinstance(trigger, Interval) else _cron_times(trigger)


def _cron_times(cron: Cron) -> _Times:
    schedule, zone = quartz.parsed(cron.expression), quartz.time_zone(cron.timezone_id)

    def after(time: float) -> float | None:
        return quartz.due_after(schedule, zone, time)

    def runs_of(due: float) -> tuple[float, float]:
        # Between this due time and the next that can have a run of its own; times are whole seconds.
        following = after(due + LEAST_SPACING - 1)
        return due - _EARLY, float("inf") if following is None else following - _EARLY

    def may_be_left_out(due: float) -> bool:
        # Whether Databricks takes the first or the second of two equal hours is not known.
        return cron.conditional or quartz.is_repeated(zone, due)

    return _Times(after, runs_of, lambda _settled, now: after(now), may_be_left_out)


def _interval_times(seconds: float) -> _Times:
    if not seconds > 0:
        raise ValueError(f"an interval of {seconds} seconds")
    return _Times(
        after=lambda time: time + seconds,
        # Whether a late run moves those that follow is not known: a run belongs to the due time that it is nearest to.
        runs_of=lambda due: (due - seconds / 2, due + seconds / 2),
        next=lambda settled, now: settled + seconds * max(1, (now - settled) // seconds + 1),
        may_be_left_out=lambda _due: False,
    )


def _begun(watch: Watch | None, trigger: Cron | Interval, started: Sequence[JobRun], now: float) -> Watch:
    """The watch to go on with: a new one where the trigger is another, and an interval's begun where its first run is seen."""
    if watch is None or watch.trigger != trigger:
        watch = Watch(trigger, now, begun=isinstance(trigger, Cron))
    if watch.begun:
        return watch
    first = next((run.start for run in started if run.start >= watch.settled), None)
    return watch if first is None else Watch(trigger, first, begun=True)


def _class(run: JobRun | None, due: float, tolerance: float) -> Class:
    if run is None:
        return "missing"
    if run.skipped:
        return "skipped"
    if run.queued:
        return "queued"
    return "late" if run.start - due > tolerance else "on_time"
