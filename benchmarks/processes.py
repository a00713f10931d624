"""Starts the programs that are measured, each in a process of its own, and reads from /proc what they burn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ENDING_SECONDS = 10


class Server(NamedTuple):
    """A program that serves on a port of loopback, and the process whose costs are its own."""

    process: subprocess.Popen[bytes]
    pid: int
    port: int

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None


@contextmanager
def running(command: Sequence[str], **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program until the block ends; what it says on standard error is seen."""
    with subprocess.Popen(command, **more) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[Server]:
    """A module that serves, from when it has printed its port; raises ValueError where it ended before it did."""
    with running([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 -- it is a pipe; tells the type checker
        yield Server(process, process.pid, int(process.stdout.readline()))


def printed(module: str, *arguments: str) -> Any:
    """The JSON that a module prints before it ends; raises CalledProcessError where it fails."""
    found = subprocess.run([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, check=True)
    return json.loads(found.stdout)


def cpu_seconds(pid: int) -> float:
    """What a process has burnt so far, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """What it holds in memory now."""
    return _status_mib(pid, "VmRSS")


def peak_mib(pid: int) -> float:
    """The most it ever held."""
    return _status_mib(pid, "VmHWM")


def _status_mib(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:")) / 1024
