"""Every start and every ending in the world, written down before it can be seen; the only module that writes a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TextIO


@dataclass(frozen=True)
class Entry:
    """`event` is start or end, `kind` original or repair; a repair's id is its id in the run's repair_history."""

    event: str
    time_ms: int
    job_id: int
    run_id: int
    kind: str
    trigger: str
    repair_id: int | None = None
    outcome: str | None = None
    code: str | None = None


class Ledger:
    """Only grows. An ending is entered when the run begins to terminate, so its `time_ms` may lie some seconds ahead.

    From then on answers tell the termination's code.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self.entries: list[Entry] = []
        self._file = file

    def enter(self, entry: Entry) -> None:
        """Writes it down, in the file too where there is one."""
        self.entries.append(entry)
        if self._file:
            self._file.write(json.dumps(asdict(entry)) + "\n")

    def flush(self) -> None:
        """What was entered can be read from the file by others."""
        if self._file:
            self._file.flush()

    def starts(self, since_ms: int = 0) -> Iterator[Entry]:
        """Those at or after a time."""
        return (entry for entry in self.entries if entry.event == "start" and entry.time_ms >= since_ms)

    def endings(self, since_ms: int, until_ms: int) -> Iterator[Entry]:
        """Those at or after the one time, and before or at the other."""
        return (entry for entry in self.entries if entry.event == "end" and since_ms <= entry.time_ms <= until_ms)
