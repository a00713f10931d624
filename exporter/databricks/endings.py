"""State and what a look at the Jobs API found to the next state: every ending and start of a run is counted here, once; pure.

What decides is never the order of a listing. An attempt of a run, the original or one repair, has a key and a time. It
counts when it ended after `since`, after `complete_to`, and its key is not known. `complete_to` moves once a sweep has
read all runs of the look-back window: what ended before that is counted, and its keys can be forgotten.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

import msgspec

from exporter.databricks import runs, tasks
from exporter.databricks.runs import FAILURES, NO_JOB, ORIGINAL, SUCCESSES, Ending, Run
from exporter.databricks.tasks import PHASES, QUEUE, CriticalPath, Task
from exporter.errors import StorageError
from exporter.metric import Buckets

VERSION = 1

MAX_JOBS = 5_000
MAX_TASKS_OF_JOB = 100
MAX_TASKS = 5_000
MAX_OPEN = 10_000
MAX_KEYS = 200_000

LOOK_BACK = 7 * 86400.0
# Clocks differ, a listing may lag behind, and an ending may be told with two times: what lies this close is looked at again.
LAG = 600.0
# After a longer pause the rest is found by the sweep, so that no first look is too long to succeed.
REACH = 86400.0
SWEEP_PAGES = 4
# More runs than these hold can't have started in the least width; listings that never end must not cost ever more.
MOST_SWEEP_PAGES = 64
# A page holds 25 runs at most, and may hold fewer: somewhat less than all pages can hold, for days are not alike.
WINDOW_RUNS = 70
FIRST_WIDTH_MS = 3_600_000
LEAST_WIDTH_MS = 1_000

FIRST, REPAIR = "original", "repair"
BORN_AT_ZERO = tuple((outcome, attempt) for outcome in ("success", "failed", "canceled") for attempt in (FIRST, REPAIR))
"""What each job tells from its first sight on, so that its first failure is an increase."""
WHOLE = "whole"
BOUNDS = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0)
"""Upper bounds of the histograms of durations, in seconds."""

# A run's id, and a repair's or ORIGINAL.
Key = tuple[int, int]
_Key = TypeVar("_Key", int, Key)
_Name = TypeVar("_Name")


class TaskTotals(msgspec.Struct, frozen=True):
    """What was counted of one task of a job. `seconds` is the time of last attempts, `phases` are seconds of all attempts."""

    outcomes: dict[str, int] = {}
    attempts: int = 0
    seconds: float = 0.0
    phases: dict[str, float] = {}
    iterations: dict[str, int] = {}
    critical: int = 0
    root_failures: int = 0


class Job(msgspec.Struct, frozen=True):
    """One saved job, or all runs of none (NO_JOB); times are seconds since 1970.

    `endings` are counted by outcome and attempt (`original`, `repair`), `starts` by trigger. `durations` are histograms of
    all attempts by phase: `whole` is from start to end, PHASES are those along the critical path.
    """

    seen: float
    endings: dict[tuple[str, str], int] = {}
    starts: dict[str, int] = {}
    durations: dict[str, Buckets] = {}
    last_end: float | None = None
    last_success: float | None = None
    last_failures: dict[str, float] = {}
    tasks: dict[str, TaskTotals] = {}


class Open(msgspec.Struct, frozen=True):
    """A run whose end has not been told. `seen` is when it was last told to be active, `asked` when last asked in vain."""

    job: int
    started: float | None
    state: str
    queue_reason: str | None
    seen: float
    asked: float = 0.0


class State(msgspec.Struct, frozen=True):
    """Everything; times are seconds since 1970 unless they end in `_ms`.

    `since` is when this state was born: what ended before adds nothing. All that ended up to `complete_to` is counted;
    `ended` and `started` hold what is known of later times. The sweep's cycle began at `cycle` (0: at `since`), and has
    read all runs that started before `swept_to_ms` (0: none yet); its next window has this width and number of pages.
    `vanished` are open runs that were gone before their end was told, `endings_forgotten` those of jobs over the cap,
    `tasks_dropped` tasks of an ending that were over theirs.
    """

    since: float
    complete_to: float = 0.0
    last_look: float = 0.0
    cycle: float = 0.0
    swept_to_ms: int = 0
    width_ms: int = FIRST_WIDTH_MS
    pages: int = SWEEP_PAGES
    ended: dict[Key, float] = {}
    started: dict[int, float] = {}
    open: dict[int, Open] = {}
    jobs: dict[int, Job] = {}
    vanished: int = 0
    endings_forgotten: int = 0
    tasks_dropped: int = 0
    version: int = VERSION


class Window(NamedTuple):
    """A part of a sweep: completed runs that started between two times, both included, as many pages as are allowed."""

    cycle: float
    start_time_from: int
    start_time_to: int
    pages: int


class Plan(NamedTuple):
    """What to ask before anything else, beside the active runs: completed runs that started since (ms), and a window."""

    start_time_from: int
    window: Window


class Swept(NamedTuple):
    """What a window held; `whole` unless its pages ran out."""

    window: Window
    runs: Sequence[Run]
    whole: bool


class Observation(NamedTuple):
    """One look at `at` (seconds since 1970). Runs may stand in several places, more than once, in any order.

    `active` and `completed` are whole listings: a look that could not read them to their end is none. `fetched` are
    answers of runs/get, `gone` the ids that it no longer knows, `unanswered` those it did not answer for. `jobs` are ids
    of saved jobs. `class_by_text` tells a failure's class by the text of its error, where somebody has read that.
    """

    at: float
    active: Sequence[Run]
    completed: Sequence[Run]
    fetched: Sequence[Run] = ()
    swept: Swept | None = None
    gone: frozenset[int] = frozenset()
    unanswered: frozenset[int] = frozenset()
    jobs: Sequence[int] = ()
    class_by_text: Mapping[Key, str] = {}


class Active(NamedTuple):
    """How many runs are in one state, and when the oldest of them started (seconds since 1970)."""

    runs: int
    oldest: float | None


def fold(state: State, observation: Observation, *, look_back: float = LOOK_BACK) -> State:
    """The state after `observation`; looks come in the order of time. Folded again, a look changes nothing.

    `look_back` is how many seconds ago a run may have started whose repairs are found even where none was seen active.
    """
    work = _Work(state, observation)
    swept = observation.swept
    told = chain(observation.active, swept.runs if swept else (), observation.completed, observation.fetched)
    work.runs(told)
    work.missing()
    if swept is not None:
        work.sweep(swept, look_back)
    work.forget()
    return work.state()


def plan(state: State, now: float, *, look_back: float = LOOK_BACK) -> Plan:
    """What a look at `now` (seconds since 1970) asks; as many requests however many runs Databricks keeps."""
    since = max(min(state.last_look or state.since, now), now - REACH) - LAG
    return Plan(int(since * 1000), _window(state, look_back))


def left(state: State, active: Iterable[Run], completed: Iterable[Run], *, most: int) -> tuple[int, ...]:
    """Runs to be asked for one by one: they were active, and neither listing of this look tells of them any more.

    At most `most`: first those that were not yet asked in vain, of these the ones that were missed first.
    """
    listed = {run.run_id for run in chain(active, completed)}
    missing = [(one.asked, one.seen, run_id) for run_id, one in state.open.items() if run_id not in listed]
    return tuple(run_id for _, _, run_id in sorted(missing)[:most])


def failures_to_explain(state: State, told: Iterable[Run]) -> dict[Key, tuple[int, ...]]:
    """Failed endings that a fold of these runs would count, each with the runs of its root failed tasks.

    Their error texts, read with runs/get-output, may tell the class: `Observation.class_by_text`.
    """
    found = {}
    for run in told:
        for ending in runs.endings(run):
            key = (ending.run_id, ending.repair_id)
            if ending.failure is not None and ending.at > _floor(state) and key not in state.ended:
                roots = (task.run_id for task in _read(run, ending)[1] if task.root_failure)
                found[key] = tuple(run_id for run_id in roots if run_id is not None)
    return found


def counts(job: Job) -> dict[tuple[str, str], int]:
    """Endings of a job by outcome and attempt, with what stands at 0 from its first sight on."""
    return {**dict.fromkeys(BORN_AT_ZERO, 0), **job.endings}


def active(state: State) -> dict[tuple[int, str], Active]:
    """Active runs by job and state. One that has left the listing is not active, though its end may not be known yet."""
    found: dict[tuple[int, str], Active] = {}
    for one in _listed(state):
        so_far = found.get((one.job, one.state), Active(0, None))
        starts = [at for at in (so_far.oldest, one.started) if at is not None]
        found[one.job, one.state] = Active(so_far.runs + 1, min(starts, default=None))
    return found


def queued(state: State) -> dict[tuple[int, str], int]:
    """Queued runs by job and what they wait for."""
    found: dict[tuple[int, str], int] = {}
    for one in _listed(state):
        if one.queue_reason is not None:
            found[one.job, one.queue_reason] = found.get((one.job, one.queue_reason), 0) + 1
    return found


def encoded(state: State) -> bytes:
    """`state` as bytes for a file; raises StorageError where it holds what no file can."""
    try:
        return msgspec.msgpack.encode(state)
    except (OverflowError, ValueError, TypeError) as error:
        raise StorageError(f"state of job runs that can't be written: {error}") from error


def decoded(stored: bytes) -> State:
    """The state in `stored`; raises ValueError where it is none, or of another version."""
    try:
        version = msgspec.msgpack.decode(stored, type=_Version).version
        if version != VERSION:
            raise ValueError(f"state of job runs of version {version}, {VERSION} is understood")
        return msgspec.msgpack.decode(stored, type=State)
    except msgspec.DecodeError as error:
        raise ValueError(f"no state of job runs: {error}") from error


class _Version(msgspec.Struct):
    version: int


class _Work:
    """The next state while it is made; copies what it changes, so that the state it began with stays as it was."""

    def __init__(self, state: State, observation: Observation) -> None:
        self._before = state
        self._look = observation
        self._floor = _floor(state)
        self._ended = dict(state.ended)
        self._started = dict(state.started)
        self._open = dict(state.open)
        self._jobs = dict(state.jobs)
        self._vanished = state.vanished
        self._endings_forgotten = state.endings_forgotten
        self._tasks_dropped = state.tasks_dropped
        self._task_count: int | None = None
        self._complete_to = state.complete_to
        self._sweep: dict[str, float | int] = {}

    def state(self) -> State:
        return msgspec.structs.replace(
            self._before,
            complete_to=self._complete_to,
            last_look=self._look.at,
            ended=self._ended,
            started=self._started,
            open=self._open,
            jobs=self._jobs,
            vanished=self._vanished,
            endings_forgotten=self._endings_forgotten,
            tasks_dropped=self._tasks_dropped,
            **self._sweep,
        )

    def runs(self, told: Iterable[Run]) -> None:
        """Counts what the runs tell, and keeps those that go on as open; of one told twice, the end is believed."""
        at = self._look.at
        over = set()
        for run in told:
            job = runs.job(run)
            self._seen(job)
            began = runs.started_at(run)
            if began is not None and began > self._floor and run.run_id not in self._started:
                self._started[run.run_id] = began
                self._start(job, runs.trigger(run))
            for ending in runs.endings(run):
                self._ending(job, run, ending)
            how = runs.state(run)
            if how is None:
                over.add(run.run_id)
                continue
            self._open[run.run_id] = Open(job, began, how, runs.queue_reason(run), at)
        for run_id in over:
            self._open.pop(run_id, None)
        for job in self._look.jobs:
            self._seen(job)

    def missing(self) -> None:
        """What runs/get said of runs that are in no listing: nothing, or that it does not know them."""
        for run_id in self._look.gone & self._open.keys():
            del self._open[run_id]
            self._vanished += 1
        for run_id in self._look.unanswered & self._open.keys():
            self._open[run_id] = msgspec.structs.replace(self._open[run_id], asked=self._look.at)

    def sweep(self, swept: Swept, look_back: float) -> None:
        """Goes on behind a window that was read whole; one that was not is tried again, narrower or with more pages."""
        window = swept.window
        if window != _window(self._before, look_back):
            return  # of another time: what it told is counted, but the sweep stands elsewhere
        width = window.start_time_to - window.start_time_from
        if not swept.whole:
            narrow = width // 2 >= LEAST_WIDTH_MS
            self._sweep = {"width_ms": width // 2} if narrow else {"pages": min(window.pages * 2, MOST_SWEEP_PAGES)}
            return
        grown = self._before.width_ms * min(2.0, WINDOW_RUNS / max(1, len(swept.runs)))
        grown = min(max(int(grown), LEAST_WIDTH_MS), int(look_back * 1000))
        self._sweep = {"swept_to_ms": window.start_time_to, "width_ms": grown, "pages": SWEEP_PAGES}
        if window.start_time_to >= int(window.cycle * 1000):
            # A run that left the listing may have ended since it was last seen, and started before the window.
            known_to = min((one.seen for one in self._open.values()), default=window.cycle)
            # Our clock may be far ahead; Databricks' own, by what it told, is not.
            told_to = max(chain(self._ended.values(), self._started.values()), default=0.0)
            self._complete_to = max(self._complete_to, min(window.cycle, known_to, told_to) - LAG)
            self._forget_keys(self._complete_to - LAG)
            self._sweep |= {"cycle": self._look.at, "swept_to_ms": 0}

    def forget(self) -> None:
        """Drops what is over the caps: jobs and open runs that were not seen for longest, the oldest keys."""
        if len(self._jobs) > MAX_JOBS:
            # Of jobs seen together a new one goes first: those that are counted must not begin anew with each look.
            order = sorted(self._jobs, key=lambda job: (self._jobs[job].seen, job in self._before.jobs, job))
            for job in order[: len(order) - MAX_JOBS]:
                self._endings_forgotten += sum(self._jobs.pop(job).endings.values())
        if len(self._open) > MAX_OPEN:
            for run_id in sorted(self._open, key=lambda run_id: (self._open[run_id].seen, run_id))[:-MAX_OPEN]:
                del self._open[run_id]
        for times in (list(self._ended.values()), list(self._started.values())):
            if len(times) > MAX_KEYS:
                # Rather one ending that is told late is missed than one counted twice.
                self._complete_to = max(self._complete_to, sorted(times)[len(times) - MAX_KEYS - 1])
                self._forget_keys(self._complete_to)

    def _forget_keys(self, until: float) -> None:
        self._ended = _after(self._ended, until)
        self._started = _after(self._started, until)

    def _seen(self, job: int) -> None:
        known = self._jobs.get(job)
        if known is None:
            self._jobs[job] = Job(self._look.at)
        elif known.seen < self._look.at:
            self._jobs[job] = msgspec.structs.replace(known, seen=self._look.at)

    def _start(self, job: int, trigger: str) -> None:
        known = self._jobs[job]
        self._jobs[job] = msgspec.structs.replace(known, starts=_added(known.starts, {trigger: 1}))

    def _ending(self, job: int, run: Run, ending: Ending) -> None:
        key = (ending.run_id, ending.repair_id)
        new = ending.at > self._floor and key not in self._ended
        # What ended before our time adds nothing, but a success of an hour ago is the last one all the same.
        if not new and ending.at > self._before.since:
            return
        known = self._jobs[job]
        self._jobs[job] = known = _latest(known, ending, self._look.class_by_text.get(key))
        if not new:
            return
        self._ended[key] = ending.at
        attempt = FIRST if ending.repair_id == ORIGINAL else REPAIR
        path, found = _read(run, ending)
        self._jobs[job] = msgspec.structs.replace(
            known,
            endings=_added(known.endings, {(ending.outcome, attempt): 1}),
            durations=_timed(known.durations, _seconds(run, ending, path)),
            # Where there is no job, nothing bounds the names of tasks.
            tasks=self._tasks(known.tasks, found) if job != NO_JOB else known.tasks,
        )

    def _tasks(self, known: Mapping[str, TaskTotals], found: Sequence[Task]) -> dict[str, TaskTotals]:
        totals = dict(known)
        for task in found:
            if task.key not in totals:
                if self._task_count is None:
                    self._task_count = sum(len(job.tasks) for job in self._jobs.values())
                if len(totals) >= MAX_TASKS_OF_JOB or self._task_count >= MAX_TASKS:
                    self._tasks_dropped += 1
                    continue
                self._task_count += 1
            before = totals.get(task.key, TaskTotals())
            totals[task.key] = TaskTotals(
                outcomes=_added(before.outcomes, {task.outcome: 1}),
                attempts=before.attempts + task.attempts,
                seconds=before.seconds + task.seconds,
                phases=_added(before.phases, task.phases),
                iterations=_added(before.iterations, task.iterations),
                critical=before.critical + task.critical,
                root_failures=before.root_failures + task.root_failure,
            )
        return totals


def _floor(state: State) -> float:
    """Up to when everything is counted, or is none of ours."""
    return max(state.since, state.complete_to)


def _listed(state: State) -> Iterable[Open]:
    return (one for one in state.open.values() if one.seen >= state.last_look)


def _window(state: State, look_back: float) -> Window:
    """The sweep's next part. Runs that began since all was complete belong to it, however long nobody has looked."""
    cycle = state.cycle or state.since
    first = int(min(cycle - look_back, _floor(state) - LAG) * 1000)
    begin = max(state.swept_to_ms, first)
    return Window(cycle, begin, max(begin, min(begin + state.width_ms, int(cycle * 1000))), state.pages)


def _read(run: Run, ending: Ending) -> tuple[CriticalPath, tuple[Task, ...]]:
    """The critical path and the tasks of the attempt that ended."""
    task_runs = runs.tasks(run, ending.repair_id)
    path = tasks.critical_path(task_runs, ending.began, ending.at)
    return path, tasks.read_tasks(task_runs, path)


def _latest(job: Job, ending: Ending, class_by_text: str | None) -> Job:
    at = ending.at
    return msgspec.structs.replace(
        job,
        last_end=max(at, job.last_end or at),
        last_success=max(at, job.last_success or at) if ending.outcome in SUCCESSES else job.last_success,
        last_failures=_later(job.last_failures, class_by_text or ending.failure, at)
        if ending.outcome in FAILURES
        else job.last_failures,
    )


def _later(times: dict[str, float], name: str | None, at: float) -> dict[str, float]:
    return {**times, name: max(at, times.get(name, at))} if name is not None else times


def _seconds(run: Run, ending: Ending, path: CriticalPath) -> dict[str, float]:
    """How long the attempt took, and by phase along its critical path.

    A run of one task tells its phases itself, too, and any run how long it was queued as a whole.
    """
    phases = tasks.path_phases(path)
    if ending.repair_id == ORIGINAL:
        told = (run.queue_duration, run.setup_duration, run.execution_duration, run.cleanup_duration)
        own = {phase: max(0, duration or 0) / 1000 for phase, duration in zip(PHASES, told, strict=True)}
        phases = {**{phase: phases[phase] or own[phase] for phase in PHASES}, QUEUE: own[QUEUE] or phases[QUEUE]}
    return {WHOLE: max(0.0, ending.at - ending.began), **phases}


def _timed(durations: Mapping[str, Buckets], seconds: Mapping[str, float]) -> dict[str, Buckets]:
    timed = dict(durations)
    for phase, value in seconds.items():
        before = timed.get(phase)
        counts = list(before.counts) if before is not None else [0] * (len(BOUNDS) + 1)
        counts[bisect.bisect_left(BOUNDS, value)] += 1
        timed[phase] = Buckets(tuple(counts), value + (before.sum if before is not None else 0.0))
    return timed


_Number = TypeVar("_Number", int, float)


def _added(totals: Mapping[_Name, _Number], adds: Mapping[_Name, _Number]) -> dict[_Name, _Number]:
    return {**totals, **{name: totals.get(name, 0) + amount for name, amount in adds.items()}}


def _after(times: Mapping[_Key, float], until: float) -> dict[_Key, float]:
    return {key: at for key, at in times.items() if at > until}
