"""The world itself: objects, the future that is planned for them, and the ledger; time moves by `advance` alone."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, TypeVar

from exporter.demo.workspace.ledger import Entry, Ledger
from exporter.demo.workspace.world import clusters, jobs, pipelines, warehouses
from exporter.demo.workspace.world.chance import chance
from exporter.demo.workspace.world.clusters import Cluster, Event
from exporter.demo.workspace.world.endings import ENDINGS, SKIPS
from exporter.demo.workspace.world.jobs import Job
from exporter.demo.workspace.world.pipelines import Log
from exporter.demo.workspace.world.run_index import RunIndex
from exporter.demo.workspace.world.runs import Attempt, Run, attempt, planned
from exporter.demo.workspace.world.sizes import DAY, HOUR, MINUTE, SECOND, Sizes

# Monday, 2026-01-05 00:00:00 UTC.
BEGIN = 1_767_571_200.0
Item = TypeVar("Item")


class World:
    """Each object's fate is drawn from a chance of its own, so the same seed makes the same world, however time is cut.

    `begin` is the time in epoch seconds at which it is handed over; `sizes.history_hours` have gone by then.
    """

    def __init__(self, seed: int, sizes: Sizes | None = None, begin: float = BEGIN, ledger: Ledger | None = None) -> None:
        self.seed, self.sizes = seed, sizes or Sizes()
        self.ledger = ledger or Ledger()
        self.begin_ms = int(begin * SECOND)
        self.now_ms = self.begin_ms - int(self.sizes.history_hours * HOUR)
        # Many short steps must not lose what is less than a millisecond of each.
        self._exact_ms = float(self.now_ms)
        self.jobs = {job.job_id: job for job in jobs.drawn(seed, self.sizes, self.now_ms)}
        self.runs = RunIndex()
        self.warehouses = {one.id: one for one in warehouses.warehouses(seed, self.sizes)}
        self.pools = {one.id: one for one in warehouses.pools(seed, self.sizes)}
        self.clusters = {one.cluster_id: one for one in clusters.all_purpose(seed, self.sizes, self.now_ms, list(self.pools))}
        # Those that people made: jobs without a cluster of their own run on them.
        self.shared = tuple(self.clusters)
        self.cluster_events: defaultdict[str, list[Event]] = defaultdict(list)
        self.alive: set[str] = set()
        self.pipelines = {one.pipeline_id: Log(one) for one in pipelines.drawn(seed, self.sizes, self.now_ms)}
        self._future: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = count()
        self._numbers = count(1)
        self._runs_of_job: defaultdict[int, int] = defaultdict(int)
        self._busy: defaultdict[int, list[int]] = defaultdict(list)
        self._set_going()
        self.advance((self.begin_ms - self.now_ms) / SECOND)

    def advance(self, seconds: float) -> None:
        """Lets this much time pass: all that falls in it happens, and stands in the ledger, before the new time is told."""
        self._exact_ms += seconds * SECOND
        until = int(self._exact_ms)
        while self._future and self._future[0][0] <= until:
            at, _, happen = heapq.heappop(self._future)
            self.now_ms = max(self.now_ms, at)
            happen(at)
        self.now_ms = until
        self.ledger.flush()

    def start(
        self, job_id: int, ending: str = "success", seconds: float = 60.0, repairs: Sequence[tuple[float, float, str]] = ()
    ) -> Run:
        """A run by hand, now: it executes for `seconds` and ends so (a key of ENDINGS).

        Each repair is the pause before it in seconds, how long it executes, and its ending.
        """
        job = self.jobs[job_id]
        attempts = [attempt(job, self.now_ms, 0, int(seconds * SECOND), ending)]
        for pause, length, how in repairs:
            attempts.append(attempt(job, attempts[-1].ended + int(pause * SECOND), 0, int(length * SECOND), how))
        run = self._begin(job, "ONE_TIME", tuple(attempts))
        self.advance(0)
        return run

    def _set_going(self) -> None:
        for number, job in enumerate(self.jobs.values()):
            self._set_job_going(job, random.Random(f"{self.seed}/job/{number}"))
        if self.sizes.submitted_runs_a_day:
            self._submit(random.Random(f"{self.seed}/submitted"))
        for number, cluster in enumerate(list(self.clusters.values())):
            draw = random.Random(f"{self.seed}/cluster/{number}")
            events = clusters.life_of_all_purpose(draw, cluster, self.now_ms + draw.randrange(30) * MINUTE)
            self._follow(events, lambda event: event.at, self._cluster_changes(cluster.cluster_id))
        for number, log in enumerate(self.pipelines.values()):
            script = pipelines.life(random.Random(f"{self.seed}/pipeline/{number}"), log.pipeline, self.now_ms + MINUTE)
            self._follow(script, lambda event: event.at, log.take)
        for number, warehouse in enumerate(list(self.warehouses.values())):
            draw = random.Random(f"{self.seed}/warehouse/{number}")
            turns = warehouses.life_of_warehouse(draw, warehouse, self.now_ms + MINUTE)
            self._follow(turns, lambda turn: turn[0], lambda turn: self.warehouses.update({turn[1].id: turn[1]}))
        for number, pool in enumerate(list(self.pools.values())):
            splits = warehouses.life_of_pool(random.Random(f"{self.seed}/pool/{number}"), pool, self.now_ms)
            self._follow(splits, lambda turn: turn[0], lambda turn: self.pools.update({turn[1].id: turn[1]}))

    def _set_job_going(self, job: Job, draw: random.Random) -> None:
        if job.kind == jobs.CRON and not job.paused and (schedule := job.schedule):

            def fire(at: int) -> None:
                # Nothing starts to the second; now and then it takes a minute, and once in a while a fire is missed.
                late = draw.randrange(5 * SECOND) + chance(draw, 0.01) * draw.randrange(20, 90) * SECOND
                if not chance(draw, 0.002):
                    self._at(at + late, lambda then: self._run(draw, job, then, "PERIODIC"))
                self._at(schedule.after(at), fire)

            self._at(schedule.after(self.now_ms), fire)
        elif job.kind == jobs.CONTINUOUS:
            # Some have been running for weeks.
            weeks_ago = self.now_ms - draw.randrange(1, 35) * DAY
            self._at(self.now_ms, lambda _: self._run_on(draw, job, weeks_ago))
        elif job.kind == jobs.FILE_ARRIVAL:

            def arrive(at: int) -> None:
                self._run(draw, job, at, draw.choice(("FILE_ARRIVAL", "FILE_ARRIVAL", "TABLE")))
                self._at(at + MINUTE + int(draw.expovariate(1 / (20 * MINUTE))), arrive)

            self._at(self.now_ms + 2 * MINUTE, arrive)

    def _run(self, draw: random.Random, job: Job, at: int, trigger: str, started_by: int | None = None) -> None:
        busy = self._busy[job.job_id]
        free = busy[0] if len(busy) >= job.max_concurrent_runs else at
        attempts = planned(draw, job, at, free)
        if attempts[0].ending not in SKIPS:
            (heapq.heapreplace if len(busy) >= job.max_concurrent_runs else heapq.heappush)(busy, attempts[0].ended)
        run = self._begin(job, trigger, attempts, started_by=started_by)
        original = attempts[0]
        if job.legacy and ENDINGS[original.ending].outcome == "failed":
            self._at(original.ended + 30 * SECOND, lambda then: self._retry(draw, job, run, then))
        if job.child_id and original.ending not in SKIPS:
            child = self.jobs[job.child_id]
            self._at(
                original.executing + original.execution // 2,
                lambda then: self._run(draw, child, then, "RUN_JOB_TASK", run.run_id),
            )

    def _retry(self, draw: random.Random, job: Job, failed: Run, at: int) -> None:
        attempts = planned(draw, job, at, at)
        self._begin(job, "RETRY", attempts, retry=1, original_attempt_run_id=failed.run_id)

    def _run_on(self, draw: random.Random, job: Job, began: int) -> None:
        attempts = planned(draw, job, began, began)
        # A run that would have ended before the world began has simply lasted until now.
        if attempts[0].ended <= self.now_ms:
            lasting = self.now_ms - began + int(draw.random() * job.typical_seconds * SECOND) + SECOND
            attempts = (attempt(job, began, 0, lasting, attempts[0].ending if attempts[0].execution else "failed"),)
        canceled = attempts[0].ending == "canceled_user"
        self._begin(job, "CONTINUOUS_RESTART" if canceled else "CONTINUOUS", attempts)
        pause = draw.randrange(10, 60) * SECOND
        self._at(attempts[0].ended + pause, lambda at: self._run_on(draw, job, at))

    def _submit(self, draw: random.Random) -> None:
        numbers = count(1)

        def submit(at: int) -> None:
            self._run(draw, jobs.submitted(next(numbers), at), at, "ONE_TIME")
            self._at(at + SECOND + int(draw.expovariate(self.sizes.submitted_runs_a_day / DAY)), submit)

        self._at(self.now_ms + 3 * MINUTE, submit)

    def _begin(self, job: Job, trigger: str, attempts: tuple[Attempt, ...], **more: Any) -> Run:
        self._runs_of_job[job.job_id] += 1
        run = Run(next(self._numbers), self._runs_of_job[job.job_id], job, trigger, attempts, **more)
        self.runs.started(run)
        self.ledger.enter(Entry("start", run.began, job.job_id, run.run_id, "original", trigger))
        for index in range(len(attempts)):
            self._plan(run, index)
        if job.compute == jobs.JOB_CLUSTER and attempts[0].ending not in SKIPS:
            cluster = clusters.for_run(run)
            self._follow(
                clusters.life_of_job_cluster(cluster, run),
                lambda event: event.at,
                self._cluster_changes(cluster.cluster_id, cluster),
            )
        return run

    def _plan(self, run: Run, index: int) -> None:
        this = run.attempts[index]
        kind, repair_id = ("repair" if index else "original"), run.repair_id(index)
        end = ENDINGS[this.ending]

        def start(_: int) -> None:
            self.runs.repaired(run, run.attempts[index - 1].ended)
            self.ledger.enter(Entry("start", this.began, run.job.job_id, run.run_id, kind, run.trigger, repair_id))

        def terminate(_: int) -> None:
            ending = Entry("end", this.ended, run.job.job_id, run.run_id, kind, run.trigger, repair_id, end.outcome, end.code)
            self.ledger.enter(ending)

        if index:
            self._at(this.began, start)
        self._at(this.terminating, terminate)
        self._at(this.ended, lambda _: self.runs.ended(run, this.ended))

    def _cluster_changes(self, cluster_id: str, new: Cluster | None = None) -> Callable[[Event], None]:
        def change(event: Event) -> None:
            cluster = clusters.after(self.clusters.get(cluster_id) or new, event)  # type: ignore[arg-type]
            self.clusters[cluster_id] = cluster
            (self.alive.discard if cluster.state == "TERMINATED" else self.alive.add)(cluster_id)
            if event.type:
                self.cluster_events[cluster_id].append(event)

        return change

    def _at(self, at: int, happen: Callable[[int], None]) -> None:
        heapq.heappush(self._future, (at, next(self._order), happen))

    def _follow(self, script: Iterable[Item], when: Callable[[Item], int], take: Callable[[Item], None]) -> None:
        """Takes one item of a script after the other, each at its time."""
        items: Iterator[Item] = iter(script)

        def ahead() -> None:
            item = next(items, None)
            if item is None:
                return

            def turn(_: int) -> None:
                take(item)
                ahead()

            self._at(when(item), turn)

        ahead()
