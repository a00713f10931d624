"""A producer with a ledger of its own: writes files of rows, each row once, and knows how many there were."""

from __future__ import annotations

import random
import threading
from pathlib import Path


class Feed:
    """Writes files from a thread of its own until it is stopped; `rows` and `files` are what it has written."""

    def __init__(self, folder: Path, *, seed: int, rows_per_file: tuple[int, int], pause: float) -> None:
        self.folder = folder
        self.rows = 0
        self.files = 0
        self._random = random.Random(seed)
        self._rows_per_file = rows_per_file
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        folder.mkdir()

    def start(self) -> Feed:
        self._thread.start()
        return self

    def stop(self) -> None:
        """From here on `rows` and `files` stand still."""
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def write(self, rows: int) -> None:
        """One more file, whole at once: Spark may list the folder at any moment."""
        aside = self.folder / f".{self.files}"
        aside.write_text("".join(f"{self.rows + number}\n" for number in range(rows)))
        aside.rename(self.folder / f"{self.files:06}.txt")
        self.rows += rows
        self.files += 1

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            self.write(self._random.randint(*self._rows_per_file))
