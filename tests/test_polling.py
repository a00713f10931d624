"""exporter/polling.py: the Poller with collectors of the test's own; the workspace is never asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog

from exporter.collector import Collector
from exporter.config import Collectors, Config, Every, WorkspaceSettings
from exporter.errors import Reason, SourceError, StorageError
from exporter.metric import gauge
from exporter.polled import Asked, Polled
from exporter.polling import LEAST_STALE, LOOK_SECONDS, Poller, poll
from exporter.snapshot import Outcome, Store
from exporter.sources.databricks import Usage
from exporter.storage import Storage, opened
from tests.e2e.waiting import eventually

VALUE = gauge("databricks_value_rows", "Made up (test).", ("workspace",))
NOW = 1_800_000_000.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Script:
    """A collector's look: does what the test says, and remembers what it was given."""

    def __init__(self, name: str, looks: list[Callable[[Asked], Any]], **more: Any) -> None:
        self.asked: list[Asked] = []
        self.looks = looks
        self.polled = Polled(Collector(name, (VALUE,), lambda _: iter(())), 60.0, self._fetch, **more)

    def _fetch(self, asked: Asked) -> Any:
        self.asked.append(asked)
        return (self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])(asked)


def fails(reason: Reason = Reason.TIMEOUT) -> Callable[[Asked], Any]:
    def fail(_: Asked) -> Any:
        raise SourceError(reason, "prod: no answer")

    return fail


class Stage:
    """A poller of one workspace, its store and its clocks."""

    def __init__(self, *scripts: Script, storage: Storage | None = None) -> None:
        self.store, self.clock, self.monotonic = Store(), Clock(NOW), Clock(1000.0)
        self.config = Config()
        settings = WorkspaceSettings("prod", "https://x")
        workspace: Any = SimpleNamespace(usage=lambda: Usage({}, {}, 0.0, 0.0, 10.0, 0.0))  # which only looks ask more
        self.poller = Poller(
            workspace,
            settings,
            [script.polled for script in scripts],
            self.store,
            storage,
            lambda: self.config,
            self.clock,
            self.monotonic,
        )

    def after(self, seconds: float) -> float:
        self.clock.now += seconds
        self.monotonic.now += seconds
        return self.poller.step()

    def record(self, name: str) -> Any:
        return self.store.view().snapshots[f"workspace prod/{name}"].record

    def outcome(self, name: str) -> Outcome:
        return self.store.view().outcomes[name, "prod"]


def test_looks() -> None:
    """Each collector looks when it is due, is given what it found before and what the others know, and is shown for a while."""
    clusters = Script("clusters", [lambda asked: (asked.before or 0) + 1])
    jobs = Script("jobs", [lambda _: "jobs"])
    stage = Stage(clusters, jobs)
    waits = [stage.after(0), stage.after(59), stage.after(1)]

    assert waits == [60.0, 1.0, 60.0]
    assert [asked.before for asked in clusters.asked] == [None, 1]
    assert [dict(asked.others) for asked in clusters.asked] == [{}, {"jobs": "jobs"}]
    assert [(asked.now, asked.deadline) for asked in clusters.asked] == [
        (NOW, 1000.0 + LOOK_SECONDS),
        (NOW + 60, 1060.0 + LOOK_SECONDS),
    ]
    assert (stage.record("clusters"), stage.record("jobs")) == (2, "jobs")
    assert stage.store.view().snapshots["workspace prod/clusters"].expires == NOW + 60 + LEAST_STALE
    assert stage.store.view().snapshots["workspace prod/jobs"].expires == NOW + 3 * 600
    assert stage.outcome("clusters") == Outcome(True, 0.0, NOW + 60, {})


def test_failure() -> None:
    """A look that fails keeps what was found before, is told by reason, and is tried again after 5, 10, 20, 40, 60 seconds."""
    clusters = Script(
        "clusters", [lambda _: "one", fails(), fails(), fails(Reason.FORBIDDEN), fails(), fails(), lambda _: "two"]
    )
    stage = Stage(clusters)
    stage.after(0)
    with structlog.testing.capture_logs() as logged:
        waits = [stage.after(seconds) for seconds in (60, 5, 10, 20, 40)]
        failing = stage.outcome("clusters"), stage.record("clusters")
        stage.after(60)

    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0]
    assert failing == (Outcome(False, 0.0, NOW, {"timeout": 4, "forbidden": 1}), "one")
    assert (stage.outcome("clusters").succeeded, stage.record("clusters")) == (True, "two")
    assert [(line["event"], line.get("reason")) for line in logged] == [
        ("collector failed", "timeout"),
        ("collector failed", "forbidden"),
        ("collector failed", "timeout"),
        ("collector looks again", None),
    ]


def test_failure_of_a_rare_look() -> None:
    """However rarely a collector is due, it is tried again within a minute; one that is due often, not later than it is due."""
    rare, frequent = Script("jobs", [fails()]), Script("clusters", [fails()])
    stage = Stage(rare, frequent)
    stage.config = Config(every=Every(clusters=7.0))
    for _ in range(10):
        stage.after(60)
    before = len(rare.asked), len(frequent.asked)
    stage.after(7)
    between = len(rare.asked), len(frequent.asked)
    stage.after(53)

    assert (between[0] - before[0], between[1] - before[1]) == (0, 1)
    assert len(rare.asked) - before[0] == 1


def test_fault() -> None:
    """A fault of a collector's is told with its trace, and takes nothing from the others."""
    stage = Stage(Script("clusters", [lambda _: 1 / 0]), Script("jobs", [lambda _: "jobs"]))
    with structlog.testing.capture_logs() as logged:
        stage.after(0)

    assert stage.outcome("clusters").failures == {"internal": 1}
    assert stage.record("jobs") == "jobs"
    assert [line["event"] for line in logged] == ["look failed", "collector failed"]


def test_switched_off() -> None:
    """A collector that is switched off looks no more, and what it found is gone; switched on, it looks again."""
    clusters = Script("clusters", [lambda _: 1])
    stage = Stage(clusters)
    stage.after(0)
    stage.config = Config(collector=Collectors(clusters=False))
    stage.after(60)
    off = set(stage.store.view().snapshots), dict(stage.store.view().outcomes), len(clusters.asked)
    stage.config = Config()
    stage.after(0)

    assert off == ({"workspace prod/requests"}, {}, 1)
    assert stage.record("clusters") == 1


def test_also() -> None:
    """Other collectors that read the record are shown with it, unless they are switched off."""
    also = Collector("tasks", (), lambda _: iter(()))
    runs = Script("job_runs", [lambda _: 1], also=(also,))
    stage = Stage(runs)
    stage.after(0)
    both = stage.store.view().snapshots["workspace prod/job_runs"].collectors
    stage.config = Config(collector=Collectors(tasks=False))
    stage.after(60)

    assert both == (runs.polled.collector, also)
    assert stage.store.view().snapshots["workspace prod/job_runs"].collectors == (runs.polled.collector,)


def encoded(record: Any) -> bytes:
    return msgspec.json.encode(record)


def test_stored_before_it_is_shown(tmp_path: Path) -> None:
    """A record is stored, is the next life's first `before`, and is not shown, nor gone on from, while it can't be stored."""
    kept: dict[str, Any] = {"encoded": encoded, "decoded": msgspec.json.decode}
    with opened(tmp_path):
        first = Stage(Script("jobs", [lambda _: 1], **kept), storage=Storage(tmp_path))
        first.after(0)
        script = Script("jobs", [lambda asked: asked.before + 1], **kept)
        again = Stage(script, storage=Storage(tmp_path))
        again.after(0)
        (tmp_path / ".prod.jobs.state.new").mkdir()
        again.after(600)
        blocked = again.record("jobs"), again.outcome("jobs").failures
        (tmp_path / ".prod.jobs.state.new").rmdir()
        again.after(60)

    assert [asked.before for asked in script.asked] == [1, 2, 2]
    assert blocked == (2, {"storage": 1})
    assert (again.record("jobs"), (tmp_path / "prod.jobs.state").read_bytes()) == (3, b"3")


def test_unusable_state(tmp_path: Path) -> None:
    """A stored record that can't be read is set aside and told; the collector begins anew."""
    (tmp_path / "prod.jobs.state").write_bytes(b"{")
    script = Script("jobs", [lambda asked: asked.before], encoded=encoded, decoded=msgspec.json.decode)
    with structlog.testing.capture_logs() as logged:
        Stage(script, storage=Storage(tmp_path)).after(0)

    assert script.asked[0].before is None
    assert [(line["event"], line["kept_as"]) for line in logged] == [
        ("stored state not used; counters begin anew", f"{tmp_path}/prod.jobs.unusable")
    ]


def test_unreadable_state(tmp_path: Path) -> None:
    """A state that can't be got at is no reason to begin anew: the exporter does not start."""
    (tmp_path / "prod.jobs.state").mkdir()
    script = Script("jobs", [lambda asked: asked.before], encoded=encoded, decoded=msgspec.json.decode)
    with pytest.raises(StorageError, match="Is a directory"):
        Stage(script, storage=Storage(tmp_path))


def test_poll() -> None:
    """poll() steps until it is told to stop, and then ends at once."""
    clusters = Script("clusters", [lambda _: 1])
    stage, stop = Stage(clusters), threading.Event()
    thread = threading.Thread(target=poll, args=(stage.poller, stop))
    thread.start()
    eventually(lambda: clusters.asked, "it looks", within=10)
    stop.set()
    thread.join(10)

    assert not thread.is_alive()
