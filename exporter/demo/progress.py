"""How far the demo has come, and what of it a person is told: lines that stay in a pipe, a frame in a terminal; pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from exporter import terminal
from exporter.demo import table
from exporter.demo.page import Page
from exporter.demo.readings import Moment, Readings, readings, recent, rows_per_second

# How long Spark may take, over all, until every stream is there.
START_SECONDS = 120.0
# Between two lines of a pipe.
LINE_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Progress:
    """Seconds of a monotonic clock: when the demo began, now, and since when all streams are there."""

    streams: Collection[str]
    seconds: float | None
    began: float
    now: float
    complete: float | None = None
    moments: tuple[Moment, ...] = ()

    @property
    def newest(self) -> Readings:
        return self.moments[-1][1] if self.moments else {}

    @property
    def missing(self) -> list[str]:
        return [stream for stream in self.streams if stream not in self.newest]

    @property
    def end(self) -> float | None:
        """When the demo ends by itself: `seconds` after all streams were there, and START_SECONDS later at the latest."""
        if self.seconds is None:
            return None
        latest = self.began + START_SECONDS + self.seconds
        return latest if self.complete is None else min(latest, self.complete + self.seconds)

    @property
    def over(self) -> bool:
        return self.end is not None and self.now >= self.end


def step(before: Progress, page: Page | None, now: float, clock: float) -> Progress:
    """The progress with a page that was served at `clock` (seconds since 1970); None where none was."""
    moments = before.moments if page is None else recent(before.moments, (clock, readings(page)))
    after = dataclasses.replace(before, now=now, moments=moments)
    return dataclasses.replace(after, complete=now) if after.complete is None and not after.missing else after


def news(before: Progress, after: Progress) -> list[str]:
    """What a pipe is told of a step: streams that came, and from then on a line now and then."""
    if after.complete is None or before.complete is None:
        came = [stream for stream in after.newest if stream not in before.newest]
        return [f"{_seen(after)}: {', '.join(came)}"] if came else []
    passed = (after.now - after.complete) // LINE_SECONDS
    return [_summary(after)] if passed > (before.now - after.complete) // LINE_SECONDS else []


def frame(progress: Progress, width: int, paint: terminal.Paint = terminal.plain) -> list[str]:
    """What a terminal shows: the table of the streams that are there, and under it what is awaited."""
    rows = table.lines(progress.moments, width, paint) if progress.newest else []
    return [*rows, paint(_awaited(progress)[:width], terminal.DIM)]


def _awaited(progress: Progress) -> str:
    if progress.complete is None:
        return f"starting Spark … {table.span(progress.now - progress.began)}, {_seen(progress)}"
    ends = "" if progress.end is None else f"ends in {table.span(max(0.0, progress.end - progress.now))}; "
    return f"{ends}Ctrl-C ends it"


def _seen(progress: Progress) -> str:
    total = len(progress.streams)
    return f"streams seen {total - len(progress.missing)}/{total}"


def _summary(progress: Progress) -> str:
    now = progress.newest.values()
    passed = table.span(progress.now - (progress.complete or 0.0))
    batches, failures = sum(one.batches for one in now), sum(one.failures for one in now)
    rate = sum(rows_per_second(progress.moments, one.stream) or 0.0 for one in now)
    return f"{passed}: {len(now)} streams, {batches:.0f} batches, {rate:.0f} rows/s, {failures:.0f} failures"
