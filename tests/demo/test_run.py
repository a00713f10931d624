"""exporter/demo/run.py"""

import io
import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from exporter import jars
from exporter.demo import address, run
from exporter.demo.address import Address
from exporter.demo.run import Plan
from exporter.demo.screen import Screen
from exporter.demo.streams import STREAMS
from tests.demo.test_screen import Terminal

# In the place of Spark: says what a listener's last words say, and stays.
STAYS = "import shutil, signal, sys; shutil.copy(sys.argv[1], sys.argv[2]); signal.pause()"
FAILS = "print('no memory'); raise SystemExit(3)"


def last_words(file: Path, *streams: str) -> Path:
    """Last words of a driver (docs/bridge.md) in which these streams were started."""
    now = int(time.time() * 1000)
    ids = [{"id": f"{number:08}-0", "runId": f"{number:08}-1", "name": stream} for number, stream in enumerate(streams)]
    events = [
        {
            "seq": seq,
            "atMs": now,
            "kind": "started",
            "trigger": None,
            "event": {**query, "timestamp": "2026-11-22T12:00:00.000Z"},
        }
        for seq, query in enumerate(ids, start=1)
    ]
    answer = {
        "version": 1,
        "final": True,
        "epoch": "e" * 32,
        "startedMs": now,
        "nowMs": now,
        "endedMs": now,
        "appId": "local-1",
        "firstSeq": 1,
        "lastSeq": len(events),
        "more": False,
        "facts": {},
        "events": events,
    }
    file.write_text(json.dumps(answer))
    file.chmod(0o600)
    return file


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made during the test."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def place() -> Address:
    return address.chosen({address.VARIABLE: "127.0.0.1:0"})


def stays(words: Path, place: Address, *, seconds: float | None) -> Plan:
    def submission(folder: Path) -> list[str]:
        return [sys.executable, "-c", STAYS, str(words), str(folder / "drivers" / "local-1.final.json")]

    return Plan(submission, os.environ, place, ("a", "b"), seconds)


def test_pipe(tmp_path: Path, scratch: Path, place: Address) -> None:
    """All streams are seen, the time passes, the table is printed, and nothing is left."""
    output = io.StringIO()
    code = run.run(stays(last_words(tmp_path / "words", "a", "b"), place, seconds=0), Screen(output, {}), threading.Event())
    lines = output.getvalue().splitlines()

    assert code == 0
    assert lines[:5] == [
        "2 Spark streams that each show something, a simulated Databricks workspace, and the exporter:",
        f"  metrics       {place.url}/metrics",
        f"  landing page  {place.url}/",
        "starting Spark …",
        "streams seen 2/2: a, b",
    ]
    assert [line.split()[:2] for line in lines[5:]] == [["STREAM", "STATE"], ["a", "stopped"], ["b", "stopped"]]
    assert list(scratch.iterdir()) == []


def test_terminal(tmp_path: Path, scratch: Path, place: Address) -> None:
    """A person sees the table grow, and the last one stays."""
    output = Terminal()
    plan = stays(last_words(tmp_path / "words", "a", "b"), place, seconds=0)
    code = run.run(plan, Screen(output, {"NO_COLOR": "1"}), threading.Event())

    assert code == 0
    assert output.getvalue().splitlines()[-1].split()[:2] == ["b", "stopped"]
    assert "streams seen 0/2" in output.getvalue()


def test_stopped(tmp_path: Path, scratch: Path, place: Address) -> None:
    """One who ends the demo before all is there has ended it, and no more is said."""
    stop = threading.Event()
    stop.set()
    code = run.run(stays(tmp_path / "no", place, seconds=None), Screen(io.StringIO(), {}), stop)

    assert code == 0
    assert list(scratch.iterdir()) == []


def test_spark_ends(scratch: Path, place: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """A Spark that ends early is told with the end of its log, and the log is kept."""
    plan = Plan(lambda _: [sys.executable, "-c", FAILS], os.environ, place, ("a",), None)
    code = run.run(plan, Screen(io.StringIO(), {}), threading.Event())
    (log,) = scratch.iterdir()

    assert code == 1
    assert capsys.readouterr().err == f"  no memory\nlakehouse-exporter demo: Spark ended with exit code 3; its log: {log}\n"
    assert log.read_text() == "no memory\n"


def test_streams_do_not_come(
    tmp_path: Path, scratch: Path, place: Address, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Streams that were not there in time are named, and the demo has failed."""
    monkeypatch.setattr("exporter.demo.progress.START_SECONDS", 0)
    plan = stays(last_words(tmp_path / "words"), place, seconds=0.1)
    code = run.run(plan, Screen(io.StringIO(), {}), threading.Event())

    assert code == 1
    assert re.search(r"demo: not seen in \d+ s: a, b; its log: ", capsys.readouterr().err)


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which the demo finds all that it needs; its Spark does nothing yet."""
    monkeypatch.setattr(jars, "__file__", str(tmp_path / "jars.py"))
    home = tmp_path / "spark"
    for file in ("jars/lakehouse-listener_2.13.jar", "spark/jars/scala-library-2.13.17.jar", "spark/bin/java"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return {
        "SPARK_HOME": spark_submit(home, "exec sleep 3600"),
        "JAVA_HOME": str(home),
        "PATH": os.environ["PATH"],
        address.VARIABLE: "127.0.0.1:0",
    }


def spark_submit(home: Path, *lines: str) -> str:
    """A spark-submit that does this; `$folder` is the demo's."""
    script = home / "bin" / "spark-submit"
    script.write_text("\n".join(("#!/bin/sh", "for folder; do :; done", *lines)) + "\n")
    script.chmod(0o755)
    return str(home)


def test_main(environ: dict[str, str], tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command waits for the streams that the application starts."""
    words = last_words(tmp_path / "words", *STREAMS)
    spark_submit(tmp_path / "spark", f'cp -p {words} "$folder/drivers/local-1.final.json"', "exec sleep 3600")

    assert run.main(0, environ) == 0
    assert f"streams seen {len(STREAMS)}/{len(STREAMS)}" in capsys.readouterr().out
    assert list(scratch.iterdir()) == []


def test_sigterm(environ: dict[str, str], tmp_path: Path, scratch: Path) -> None:
    """SIGTERM ends the demo as it should be: exit code 0, nothing left, and signals as they were before."""
    spark_submit(tmp_path / "spark", "kill -TERM $PPID", "exec sleep 3600")
    before = signal.getsignal(signal.SIGTERM)

    assert run.main(None, environ) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    assert list(scratch.iterdir()) == []


def test_nobody_reads(environ: dict[str, str], scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that goes away, as `head` does, is no failure."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)

        assert run.main(None, environ) == 0
    assert list(scratch.iterdir()) == []


def test_exporter_ends(environ: dict[str, str], scratch: Path, place: Address, capsys: pytest.CaptureFixture[str]) -> None:
    """An exporter that can't go on is told as Spark is."""
    taken = socket.create_server((place.host, place.port))
    plan = Plan(lambda _: ["sleep", "3600"], os.environ, place, ("a",), None)
    with taken:
        code = run.run(plan, Screen(io.StringIO(), {}), threading.Event())

    assert code == 1
    assert "lakehouse-exporter demo: the exporter ended with exit code 1; its log: " in capsys.readouterr().err


def test_nothing_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Spark there is one line that says what to install."""
    code = run.main(None, {"SPARK_HOME": str(tmp_path)})

    assert code == 1
    assert capsys.readouterr().err == "lakehouse-exporter demo: no Spark is found: `pip install pyspark`, or set SPARK_HOME\n"


def test_settings() -> None:
    """The exporter's settings of the user do not reach the demo's exporter."""
    environ = {"LAKEHOUSE_EXPORTER_STORAGE_PATH": "/var/lib/real", "HOME": "/root"}

    assert run.without_settings(environ) == {"HOME": "/root"}
