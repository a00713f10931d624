"""What large pages cost a processor and memory, ours and prometheus_client's, each in a process that does nothing else."""

from __future__ import annotations

import gzip
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator

from benchmarks import processes, series
from benchmarks.report import Figure, Part, times
from exporter.negotiation import Wanted
from exporter.page import Page

PEER = "prometheus_client"
ROUNDS = 5
SCRAPES = 4
ZIPPED = Wanted(gzip=True)
MOST_RENDER_MS = 200
MOST_ONE_CHANGED_MS = 50
MOST_KEPT_MS = 1
MOST_MIB = 200

Costs = dict[str, float]


def measure(shape: series.Shape = series.LARGE) -> Iterator[Figure]:
    """Scrapes of a page that all, one or none of its targets changed, in ms of a processor, and the memory that it takes."""
    ours: Costs = processes.printed("benchmarks.pages", "ours", *map(str, shape))
    theirs: Costs = processes.printed("benchmarks.pages", "theirs", *map(str, shape))

    def figure(name: str, key: str, peer: str, goal: float | None = None) -> Figure:
        return Figure(name, ours[key], "ms", goal, times(ours[key], theirs[peer], PEER))

    yield figure(f"first scrape after all of {shape.targets} targets changed", "all", "plain", MOST_RENDER_MS)
    yield figure(f"first scrape after one of {shape.targets} changed", "one", "plain", MOST_ONE_CHANGED_MS)
    yield Figure("one changed, against all changed", 100 * ours["one"] / ours["all"], "%")
    yield figure("scrape without a change", "kept", "plain", MOST_KEPT_MS)
    yield Figure(f"{PEER}: every scrape", theirs["plain"], "ms")
    yield figure("gzip: first scrape after all changed", "all_zipped", "zipped")
    yield Figure(f"gzip: {PEER}: every scrape", theirs["zipped"], "ms")
    yield figure(f"a minute of {SCRAPES} scrapes, gzip, all changed before each", "minute_all", "minute")
    yield figure(f"a minute of {SCRAPES} scrapes, gzip, one changed before each", "minute_one", "minute")
    yield figure(f"a minute of {SCRAPES} scrapes, gzip, nothing changed", "minute_kept", "minute")
    yield Figure(f"a minute of {SCRAPES} scrapes, gzip: {PEER}", theirs["minute"], "ms")
    yield Figure("memory at its peak", ours["mib"], "MiB", MOST_MIB, times(ours["mib"], theirs["mib"], PEER))
    yield Figure(f"memory at its peak: {PEER}", theirs["mib"], "MiB")


def _ours(shape: series.Shape) -> Costs:
    made = series.collector(shape)
    values = [0.5] * shape.targets
    current = series.view(made, values)
    page = Page(lambda: current, time.time)
    page.made(ZIPPED)

    def changed(targets: int) -> None:
        nonlocal current
        for target in range(targets):
            values[target] += 1
        current = series.view(made, values)

    def after(targets: int, wanted: Wanted) -> float:
        changed(targets)
        return _cpu_ms(lambda: page.kept(wanted) or page.made(wanted))

    every = shape.targets
    found = {
        "all": statistics.median(after(every, Wanted()) for _ in range(ROUNDS)),
        "one": statistics.median(after(1, Wanted()) for _ in range(ROUNDS)),
        "kept": statistics.median(_cpu_ms(lambda: page.kept(Wanted())) for _ in range(ROUNDS)),
        "all_zipped": statistics.median(after(every, ZIPPED) for _ in range(ROUNDS)),
        "minute_all": sum(after(every, ZIPPED) for _ in range(SCRAPES)),
        "minute_one": sum(after(1, ZIPPED) for _ in range(SCRAPES)),
        "minute_kept": sum(_cpu_ms(lambda: page.kept(ZIPPED)) for _ in range(SCRAPES)),
    }
    return {**found, "mib": processes.peak_mib(os.getpid())}


def _theirs(shape: series.Shape) -> Costs:
    from prometheus_client import generate_latest

    registry = series.registry(shape, [0.5] * shape.targets)
    zipped = [_cpu_ms(lambda: gzip.compress(generate_latest(registry))) for _ in range(SCRAPES)]
    found = {
        "plain": statistics.median(_cpu_ms(lambda: generate_latest(registry)) for _ in range(ROUNDS)),
        "zipped": statistics.median(zipped),
        "minute": sum(zipped),
    }
    return {**found, "mib": processes.peak_mib(os.getpid())}


def _cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


PART = Part(
    "pages",
    f"A page of {series.LARGE.series:,} series",
    f"{series.LARGE.targets} targets of {series.LARGE.families * series.LARGE.queries:,} series. The first scrape after a"
    " change makes the page, and of the targets those that changed; the next scrapes are handed the same bytes."
    f" {PEER} makes all of it anew each time. Milliseconds of a processor, without the network; each side in a process of"
    " its own that does nothing else.",
    measure,
)

if __name__ == "__main__":
    side, *sizes = sys.argv[1:]
    print(json.dumps({"ours": _ours, "theirs": _theirs}[side](series.Shape(*map(int, sizes)))))
