"""exporter/demo/processes.py and leash.py"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter.demo.processes import running

# Says through a pipe that it is there, and holds the pipe open for as long as it is.
HOLDS = "import signal, sys; pipe = open(sys.argv[1], 'wb', buffering=0); pipe.write(b'here'); signal.pause()"
# Does not heed SIGTERM, and has a child that holds the pipe.
STUBBORN = f"""\
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.run([sys.executable, "-c", {HOLDS!r}, sys.argv[1]])
"""
STARTS = f"""\
import signal, sys
from pathlib import Path
from exporter.demo.processes import running
with running([sys.executable, "-c", {HOLDS!r}, sys.argv[1]], {{}}, Path(sys.argv[2])):
    signal.pause()
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_polite(tmp_path: Path, pipe: Path) -> None:
    """At the end of the block a program is asked to end."""
    with running([sys.executable, "-c", HOLDS, str(pipe)], {}, tmp_path / "log") as child, pipe.open("rb") as end:
        assert end.read(4) == b"here"
        assert child.running

    assert child.process.returncode == -signal.SIGTERM


def test_stubborn(tmp_path: Path, pipe: Path) -> None:
    """One that does not end is killed, and what it started with it."""
    with ExitStack() as ends:
        with running([sys.executable, "-c", STUBBORN, str(pipe)], {}, tmp_path / "log", polite=0.1) as child:
            end = ends.enter_context(pipe.open("rb"))

            assert end.read(4) == b"here"

        assert child.process.returncode == -signal.SIGKILL
        assert end.read() == b""


def test_ended(tmp_path: Path) -> None:
    """A program that ended by itself has its exit code, and its last words are in its log."""
    command = [sys.executable, "-c", "print(1); print(2); print(3); raise SystemExit(7)"]
    with running(command, {}, tmp_path / "log") as child:
        child.process.wait()

        assert not child.running
        assert child.process.returncode == 7
        assert child.last_words(2) == ["2", "3"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_orphan(tmp_path: Path, pipe: Path) -> None:
    """A demo that is ended by kill -9 takes its programs with it."""
    command = [sys.executable, "-c", STARTS, str(pipe), str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT) as parent, pipe.open("rb") as end:
        assert end.read(4) == b"here"
        parent.kill()

        assert end.read() == b""
