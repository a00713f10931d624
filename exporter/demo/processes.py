"""Starts the programs of the demo and sees to it that none outlives it; the only module here that starts any."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLITE_SECONDS = 5.0
# Also a demo that is ended by `kill -9` must not leave its programs, and their port, behind.
LEASH = (sys.executable, str(Path(__file__).with_name("leash.py")))


@dataclass(frozen=True)
class Child:
    """A program with a process group of its own, so that Ctrl-C is ours to hear and what it started ends with it."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def last_words(self, lines: int) -> list[str]:
        """The end of its log."""
        return self.log.read_text(errors="replace").splitlines()[-lines:]


@contextlib.contextmanager
def running(command: Sequence[str], environ: Mapping[str, str], log: Path, polite: float = POLITE_SECONDS) -> Iterator[Child]:
    """The program, until the block ends: then it is asked to end, and killed with all it started when it does not."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*LEASH, *command],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Child(process, log)
    finally:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(polite)
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The group outlives its first process as long as one of the others runs.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
