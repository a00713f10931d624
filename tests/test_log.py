"""exporter/log.py"""

import io
import json
import logging
import os
import pty
import sys

import pytest
import structlog

from exporter import log


def failed() -> None:
    try:
        raise RuntimeError("at night")
    except RuntimeError:
        structlog.get_logger().exception("look failed", source="drivers")


def test_logfmt(capsys: pytest.CaptureFixture[str]) -> None:
    """A logfmt line: time, level, event, then the rest; nothing on standard output."""
    log.configure("info", "logfmt")
    structlog.get_logger().info("driver found", app="my app", app_id="local-1")
    captured = capsys.readouterr()
    stamp, _, rest = captured.err.partition(" ")

    assert stamp.startswith("timestamp=2")
    assert stamp.endswith("Z")
    assert rest == 'level=info event="driver found" app="my app" app_id=local-1\n'
    assert captured.out == ""


def test_logfmt_exception(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback stays on the one line of its event."""
    log.configure("info", "logfmt")
    failed()
    (line,) = capsys.readouterr().err.splitlines()

    assert 'event="look failed" source=drivers exception="Traceback (most recent call last):\\n' in line
    assert line.endswith('RuntimeError: at night"')


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON line holds the same."""
    log.configure("info", "json")
    failed()
    line = json.loads(capsys.readouterr().err)

    assert (line["level"], line["event"], line["source"]) == ("error", "look failed", "drivers")
    assert line["exception"].endswith("RuntimeError: at night")


def test_level(capsys: pytest.CaptureFixture[str]) -> None:
    """What is below the level is not logged."""
    log.configure("warning", "logfmt")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert [line.split(" ")[-1] for line in capsys.readouterr().err.splitlines()] == ["event=loud"]


def test_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a person's terminal a line has colours, and a traceback has lines."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb") as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        log.configure("info", "logfmt")
        failed()
        shown = screen.read1(65536)

    assert b"\x1b[" in shown
    assert b"\r\n" in shown


def test_reader_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log whose reader went away, or whose disk is full, raises nothing."""
    ours, theirs = os.pipe()
    os.close(ours)
    for descriptor in (theirs, os.open("/dev/full", os.O_WRONLY)):
        # Unbuffered: what could not be written must not be tried again when the file is closed.
        with io.TextIOWrapper(io.FileIO(descriptor, "w"), write_through=True) as file:
            with pytest.raises(OSError):  # noqa: PT011 -- either errno: it does fail without us
                file.write("nobody reads this")
            monkeypatch.setattr(sys, "stderr", file)
            log.configure("info", "logfmt")
            structlog.get_logger().info("nobody reads this")


def test_py4j_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """py4j logs nothing, at no level."""
    log.configure("debug", "logfmt")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("py4j.java_gateway").critical("token")

    assert caplog.records == []
