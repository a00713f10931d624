"""exporter/current.py"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from exporter.config import Config, Expected, Log, Streaming, Web, load
from exporter.current import Current
from exporter.errors import ConfigError


class Clock:
    """A clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(file: Path, content: str) -> None:
    file.write_text(content)


def test_read_anew(tmp_path: Path) -> None:
    """What the file says now holds, and when it was read is known."""
    file, clock = tmp_path / "settings.yaml", Clock()
    told(file, "streaming: {keep_ended: 1m}\n")
    current = Current(lambda: load({}, {}, file), clock)
    told(file, "streaming: {keep_ended: 2m}\nexpected: [{app: a, query: q}]\n")
    clock.now = 200.0

    assert current.reload()
    assert current.config == Config(streaming=Streaming(120.0), expected=(Expected("a", "q"),))
    assert (current.loaded, current.loaded_at) == (True, 200.0)


def test_broken(tmp_path: Path) -> None:
    """A file that can't be used changes nothing and is told, every problem a line; mended, it holds."""
    file, clock = tmp_path / "settings.yaml", Clock()
    told(file, "streaming: {keep_ended: 1m}\n")
    current = Current(lambda: load({}, {}, file), clock)
    before = current.config
    told(file, "streaming: {keep_ended: soon}\nlgo: {}\n")
    clock.now = 200.0
    with structlog.testing.capture_logs() as logged:
        done = current.reload()

    assert (done, current.config, current.loaded, current.loaded_at) == (False, before, False, 100.0)
    assert [(line["log_level"], line["problem"]) for line in logged] == [
        ("error", f"{file}: unknown key 'lgo'; did you mean 'log'?"),
        ("error", f"{file}: streaming.keep_ended: 'soon' is no duration; write 90s, 10m or 1h30m"),
    ]

    told(file, "streaming: {keep_ended: 3m}\n")
    assert current.reload()
    assert (current.config.streaming.keep_ended, current.loaded, current.loaded_at) == (180.0, True, 200.0)


def test_fixed() -> None:
    """What is fixed at the start stays as it was, and a change of it is told; the rest of its section changes."""
    found = [Config(web=Web(telemetry_path="/a")), Config(web=Web(telemetry_path="/b", show_exceptions=True), log=Log("debug"))]
    current = Current(lambda: found.pop(0), Clock())
    with structlog.testing.capture_logs() as logged:
        current.reload()

    assert current.config == Config(web=Web(telemetry_path="/a", show_exceptions=True), log=Log("debug"))
    assert [(line["log_level"], line.get("setting")) for line in logged] == [("warning", "web.telemetry_path"), ("info", None)]


def test_applied() -> None:
    """What holds is applied at the start and at each change, and never what can't be used."""
    found: list[Callable[[], Config]] = [Config, _raises, lambda: Config(log=Log("debug"))]
    applied: list[Config] = []

    def load() -> Config:
        return found.pop(0)()

    current = Current(load, Clock(), applied.append)

    assert [current.reload(), current.reload()] == [False, True]
    assert applied == [Config(), Config(log=Log("debug"))]


def _raises() -> Config:
    raise ConfigError(("no",))


def test_fault() -> None:
    """A fault of ours while they are read is told with its trace, and ends nothing."""
    found = [Config()]
    current = Current(found.pop, Clock())
    with structlog.testing.capture_logs() as logged:
        done = current.reload()

    assert (done, current.loaded, current.config) == (False, False, Config())
    assert [(line["event"], line["exc_info"]) for line in logged] == [("settings not read anew; the old ones go on", True)]


def test_broken_at_the_start(tmp_path: Path) -> None:
    """Without settings to go on with, the problems are raised."""
    with pytest.raises(ConfigError, match="No such file"):
        Current(lambda: load({}, {}, tmp_path / "none"), Clock())
