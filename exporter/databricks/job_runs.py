"""The record of the runs of jobs: what is counted, what goes on, and the runs that schedules are held against; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain

import msgspec

from exporter.databricks import endings, runs
from exporter.databricks.endings import Key, Observation, State
from exporter.databricks.jobs import Jobs
from exporter.databricks.runs import NO_JOB, Run
from exporter.databricks.schedules import CONTINUOUS, PERIODIC, JobRun
from exporter.errors import StorageError

VERSION = 1
# Long enough for every due time to be classed, and for a listing that lags.
KEPT = 7200.0
MAX_RECENT = 20_000
# https://docs.databricks.com/resources/limits.html
MAX_TASKS = 2_000


class JobRuns(msgspec.Struct, frozen=True):
    """What is known of a workspace's runs at `state.last_look`; times are seconds since 1970.

    `failures` counts failed endings by job and class. `recent` holds by job and run what started a while ago by a schedule
    or to go on for good: of every job all such runs that started at `seen_since` or later, and the newest. `running_tasks`
    are those of all active runs together. `listed_at` is when the jobs were listed that `hidden` is of: jobs that had runs
    and are gone.
    """

    workspace: str
    state: State
    failures: dict[tuple[int, str], int] = {}
    recent: dict[int, dict[int, JobRun]] = {}
    seen_since: float = 0.0
    running_tasks: int = 0
    listed_at: float = 0.0
    hidden: frozenset[int] = frozenset()
    version: int = VERSION


def failed(state: State, told: Iterable[Run]) -> dict[Key, tuple[int, str, tuple[int, ...]]]:
    """Failed endings that a fold of these runs would count: the job, the class by code, and the runs of the tasks to blame."""
    several = list(told)
    roots = endings.failures_to_explain(state, several)
    return {
        key: (runs.job(run), ending.failure, roots[key])
        for run in several
        for ending in runs.endings(run)
        for key in ((ending.run_id, ending.repair_id),)
        if key in roots and ending.failure is not None
    }


def next_record(before: JobRuns, look: Observation, start_time_from: int, listed: Jobs | None) -> JobRuns:
    """The record after a look whose completed runs are those since `start_time_from` (ms); `listed` are the jobs, if known."""
    told = list(chain(look.active, look.swept.runs if look.swept else (), look.completed, look.fetched))
    failures = Counter(before.failures)
    failures.update(
        (job, look.class_by_text.get(key, by_code)) for key, (job, by_code, _) in failed(before.state, told).items()
    )
    state = endings.fold(before.state, look)
    recent, seen_since = _recent(before, state, told, start_time_from / 1000)
    listed_at, hidden = before.listed_at, before.hidden
    if listed is not None and listed.at != listed_at:
        going = {one.job for one in state.open.values()}
        listed_at, hidden = listed.at, frozenset(state.jobs.keys() - listed.jobs.keys() - going - {NO_JOB})
    return JobRuns(
        before.workspace,
        state,
        {key: count for key, count in failures.items() if key[0] in state.jobs},
        recent,
        seen_since,
        sum(_running_tasks(run) for run in look.active),
        listed_at,
        hidden,
    )


def encoded(record: JobRuns) -> bytes:
    """The record as bytes for a file; raises StorageError where it holds what no file can."""
    state = msgspec.Raw(endings.encoded(record.state))
    try:
        return msgspec.msgpack.encode({**msgspec.structs.asdict(record), "state": state})
    except (OverflowError, ValueError, TypeError) as error:
        raise StorageError(f"record of job runs that can't be written: {error}") from error


def decoded(stored: bytes) -> JobRuns:
    """The record in `stored`; raises ValueError where it is none, or of another version."""
    try:
        head = msgspec.msgpack.decode(stored, type=_Head)
        if head.version != VERSION:
            raise ValueError(f"record of job runs of version {head.version}, {VERSION} is understood")
        endings.decoded(bytes(head.state))
        return msgspec.msgpack.decode(stored, type=JobRuns)
    except msgspec.DecodeError as error:
        raise ValueError(f"no record of job runs: {error}") from error


class _Head(msgspec.Struct):
    version: int
    state: msgspec.Raw


def _recent(
    before: JobRuns, state: State, told: Iterable[Run], completed_from: float
) -> tuple[dict[int, dict[int, JobRun]], float]:
    """The runs to hold schedules against, and since when they are all."""
    found = {job: dict(its) for job, its in before.recent.items()}
    for run in told:
        job, trigger, started = runs.job(run), runs.trigger(run), runs.started_at(run)
        if job != NO_JOB and started is not None and (trigger == PERIODIC or trigger in CONTINUOUS):
            known = found.setdefault(job, {}).get(run.run_id)
            # A listing may be older than what was told of the end.
            if known is None or known.end is None or runs.state(run) is None:
                found[job][run.run_id] = _job_run(run, trigger, started)
    # What nobody has seen since the last look began at its beginning; after a pause too long to catch up, later.
    since = completed_from if not before.state.last_look or completed_from > before.state.last_look else before.seen_since
    since = max(since, state.last_look - KEPT)
    starts = sorted(run.start for its in found.values() for run in its.values())
    if len(starts) > MAX_RECENT:
        since = max(since, starts[-MAX_RECENT])
    kept = {job: _kept(its, state.open, since) for job, its in found.items() if job in state.jobs}
    return {job: its for job, its in kept.items() if its}, since


def _kept(its: Mapping[int, JobRun], open_runs: Mapping[int, object], since: float) -> dict[int, JobRun]:
    """Of one job's runs those since then, those that go on, and the newest, after which a gap may begin."""
    known = {run_id: run for run_id, run in its.items() if run.end is not None or run_id in open_runs}
    newest = max(known, key=lambda run_id: known[run_id].start, default=None)
    return {run_id: run for run_id, run in known.items() if run.end is None or run.start >= since or run_id == newest}


def _job_run(run: Run, trigger: str, started: float) -> JobRun:
    over = runs.state(run) is None
    ends = [ending.at for ending in runs.endings(run)]
    return JobRun(
        started,
        trigger,
        queued=runs.state(run) == "queued" or bool(run.queue_duration),
        skipped=over and runs.outcome(run) == "skipped",
        end=max(ends, default=started) if over else None,
    )


def _running_tasks(run: Run) -> int:
    """Its tasks that run, as far as they are told; a for-each task only starts others."""
    all_tasks = (task for task in run.tasks or () if task is not None and task.for_each_task is None)
    return sum(runs.state(task) == "running" for task in all_tasks)
