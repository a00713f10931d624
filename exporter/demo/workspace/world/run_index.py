"""Runs by start, by end, and by job, so that no listing walks through all of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.demo.workspace.world import ids
from exporter.demo.workspace.world.runs import Run
from exporter.demo.workspace.world.sizes import DAY

KEPT = 60 * DAY
LATEST = (1 << 62, 0)

# When it started or ended, and the run's number, so that no two are equal.
Key = tuple[int, int]


@dataclass(frozen=True)
class Asked:
    """Which runs: of one job, active or not (None for both), started within two times (both inclusive)."""

    job_id: int | None = None
    active: bool | None = None
    start_from: int = 0
    start_to: int = 1 << 62


class RunIndex:
    """Kept by the world as its runs start, end, and come back for a repair."""

    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._by_start: list[Key] = []
        self._by_end: list[Key] = []
        self._of_job: defaultdict[int, list[Key]] = defaultdict(list)
        self._active: set[int] = set()

    def get(self, run_id: int) -> tuple[Run, int] | None:
        """The run that owns this id, and the id's place in it: 0 is the run itself."""
        number, place = ids.run_place(run_id)
        return (self._runs[number], place) if number in self._runs else None

    def started(self, run: Run) -> None:
        """It is there from now on, and active."""
        self._runs[run.number] = run
        key = (run.began, run.number)
        insort(self._by_start, key)
        insort(self._of_job[run.job.job_id], key)
        self._active.add(run.number)

    def ended(self, run: Run, at: int) -> None:
        """Its newest attempt ended."""
        self._active.discard(run.number)
        insort(self._by_end, (at, run.number))

    def repaired(self, run: Run, ended_at: int) -> None:
        """It is active again, after an attempt that had ended then."""
        self._by_end.pop(bisect_left(self._by_end, (ended_at, run.number)))
        self._active.add(run.number)

    def by_start(self, asked: Asked, now: int, before: Key = LATEST) -> Iterator[tuple[Key, Run]]:
        """Those asked for, the latest start first, from behind a key on."""
        keys = self._by_start if asked.job_id is None else self._of_job.get(asked.job_id, [])
        if asked.active:
            keys = sorted((self._runs[number].began, number) for number in self._active)
        high = min(bisect_left(keys, before), bisect_right(keys, (asked.start_to, LATEST[0])))
        for place in range(high - 1, bisect_left(keys, (asked.start_from, 0)) - 1, -1):
            yield from self._matching(asked, keys[place], now)

    def by_end(self, asked: Asked, now: int, before: Key = LATEST) -> Iterator[tuple[Key, Run]]:
        """Those asked for, the latest end first, where an active run counts as ended at its start; from behind a key on."""
        active = sorted((self._runs[number].began, number) for number in self._active) if asked.active is not False else []
        ended = self._by_end if not asked.active else []
        here, there = bisect_left(active, before) - 1, bisect_left(ended, before) - 1
        while here >= 0 or there >= 0:
            if there < 0 or (here >= 0 and active[here] > ended[there]):
                key, here = active[here], here - 1
            else:
                key, there = ended[there], there - 1
            # No run ends before it starts: behind this key there is nothing in the window.
            if key[0] < asked.start_from:
                return
            yield from self._matching(asked, key, now)

    def _matching(self, asked: Asked, key: Key, now: int) -> Iterable[tuple[Key, Run]]:
        run = self._runs[key[1]]
        if asked.job_id is not None and run.job.job_id != asked.job_id:
            return
        if asked.active is not None and asked.active != (run.number in self._active):
            return
        if not asked.start_from <= run.began <= asked.start_to:
            return
        if run.number in self._active or run.so_far(now)[-1].ended >= now - KEPT:
            yield key, run
