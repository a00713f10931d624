"""The table of streams as lines of text, for a terminal or a pipe; pure."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.demo.readings import Moment, Reading, rows_per_second
from exporter.terminal import BOLD, DIM, GREEN, RED, YELLOW, Paint, plain

UNKNOWN = "-"
# Older than this, the newest event that was read is shown as late.
LATE_SECONDS = 30.0
# The first batch of any stream overruns while Spark is cold; a stream that overruns does it more often than this.
OVERRUNNING = 0.25

_HEAD = ("STREAM", "STATE", "BATCHES", "ROWS/S", "SIGNAL", "BEHIND", "FAILURES", "TO SEE")
# Columns of numbers are aligned at the right.
_WIDTHS = (-15, -12, 7, 6, 6, 8, 8, 0)
_GAP = "  "


def lines(moments: Sequence[Moment], width: int, paint: Paint = plain) -> list[str]:
    """The head and a line a stream of the newest moment, none wider than `width`."""
    now, newest = moments[-1]
    head = _line(_HEAD, width, lambda text, _: paint(text, DIM), [DIM] * len(_HEAD))
    return [head, *(_row(one, rows_per_second(moments, one.stream), now, width, paint) for one in newest.values())]


def _row(reading: Reading, rate: float | None, now: float, width: int, paint: Paint) -> str:
    cells = (
        reading.stream,
        reading.state,
        f"{reading.batches:.0f}",
        UNKNOWN if rate is None else f"{rate:.1f}",
        UNKNOWN if reading.last_signal is None else span(now - reading.last_signal),
        _lag(reading, now),
        f"{reading.failures:.0f}",
        remark(reading),
    )
    late = YELLOW if reading.event_time is not None and now - reading.event_time > LATE_SECONDS else 0
    failed = RED if reading.failures else 0
    return _line(cells, width, paint, [BOLD, _colour(reading.state), 0, 0, 0, late, failed, 0])


def remark(reading: Reading) -> str:
    """What this stream shows that a healthy one does not, in a few words."""
    said = []
    if reading.overruns > 1 + reading.batches * OVERRUNNING:
        said.append(f"{reading.overruns:.0f} overran")
    if reading.state_rows is not None:
        said.append(f"{reading.state_rows:.0f} state rows")
    if reading.late_rows:
        said.append(f"{reading.late_rows:.0f} too late")
    if reading.idle_signals:
        said.append(f"{reading.idle_signals:.0f} idle signals")
    if reading.runs_finished:
        said.append(f"{reading.runs_finished:.0f} finished")
    if reading.failure:
        said.append(reading.failure)
    return ", ".join(said)


def span(seconds: float) -> str:
    """A time in one or two units: `8 s`, `3 m 20 s`, `2 h 5 m`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} m"
    return f"{minutes} m {rest} s" if minutes else f"{rest} s"


def _lag(reading: Reading, now: float) -> str:
    """How old the newest event that was read is; else how many rows are still to read."""
    if reading.event_time is not None:
        return span(now - reading.event_time)
    return UNKNOWN if reading.backlog_rows is None else f"{reading.backlog_rows:.0f} rows"


def _colour(state: str) -> int:
    if state == "failed":
        return RED
    return DIM if state in ("finished", "stopped") else GREEN


def _line(cells: Sequence[str], width: int, paint: Paint, colours: Sequence[int]) -> str:
    """Cells in columns; cut before it is painted, for colours have no width."""
    parts: list[str] = []
    room = width
    for cell, column, colour in zip(cells, _WIDTHS, colours, strict=True):
        gap = _GAP if parts else ""
        text = (cell.ljust(-column) if column <= 0 else cell.rjust(column))[: max(0, room - len(gap))]
        room -= len(gap) + len(text)
        parts.append(gap + (paint(text, colour) if colour and text else text))
    return "".join(parts).rstrip()
