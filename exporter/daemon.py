"""The life of the daemon: starts its threads, serves until it is told to end, lingers, and leaves nothing half done."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType

import structlog

from exporter import collectors, discovery, landing, listening, log, probe, workspaces
from exporter.answer import Answer, Fresh, Plain, Resource, text
from exporter.config import Config, WorkspaceSettings
from exporter.connection import Limits
from exporter.current import Current
from exporter.health import Life
from exporter.page import Page
from exporter.poller import Follower, Source, follow
from exporter.polling import Poller, poll
from exporter.snapshot import Store
from exporter.sources.databricks import Workspace
from exporter.sources.drivers import Drivers
from exporter.storage import Storage, opened
from exporter.web import Front
from exporter.web_security import Security

_log = structlog.get_logger()
# What a step under way may take at most when the daemon ends: a driver's deadline and the folding of its answer.
LAST_STEP_SECONDS = 4.0
# What an answer under way may take then: with the step before it stays below the 10 seconds that a container is given.
LAST_ANSWERS_SECONDS = 5.0


def serve(load: Callable[[], Config], told: SimpleQueue[int]) -> None:
    """Follows drivers and serves pages until it is `told` to end, then for `shutdown.linger` more, or until told again.

    Told SIGHUP, it has `load` read the settings anew. Raises ConfigError where they, or the web configuration, can't be used
    at the start, StorageError where the state can't be, OSError where an address can't be listened on.
    """
    stop = threading.Event()
    current = Current(load, time.time, lambda config: log.configure(config.log.level, config.log.format))
    config = current.config
    with contextlib.ExitStack() as stack:
        storage = stack.enter_context(opened(Path(config.storage.path))) if config.storage.path else None
        source = Drivers(Path(config.drivers.dir), time.time, time.monotonic)
        watched = workspaces.clients(workspaces.named(config.workspaces, os.environ), os.environ, stop)
        handed_over = listening.handed_over(os.environ, os.getpid())
        with running(source, storage, current, handed_over, watched, stop) as front:
            for address in front.addresses:
                _log.info("serving", address=address, drivers=config.drivers.dir)
            _until_told(told, current)
            linger = current.config.shutdown.linger
            if linger:
                _log.info("lingering", seconds=linger)
                _until_told(told, current, linger)
        _log.info("ended")


@contextlib.contextmanager
def running(
    source: Source,
    storage: Storage | None,
    current: Current,
    sockets: Iterable[socket.socket] = (),
    watched: Mapping[WorkspaceSettings, Workspace] = MappingProxyType({}),
    stop: threading.Event | None = None,
) -> Iterator[Front]:
    """What follows `source`, watches workspaces and serves the page, until the block ends; on `sockets`, where there are some.

    `stop` is what the clients of the workspaces wait by.
    """
    web = current.config.web
    # Whatever does not come about below, the source is let go: a session must not keep our listener.
    with contextlib.closing(source):
        store = Store()
        security = Security(Path(web.config_file)) if web.config_file else None

        def life() -> Life:
            failures = security.failed if security is not None else 0
            return Life(front.counts(), current.loaded, current.loaded_at, failures)

        names = [settings.name for settings in watched] if web.probe else []
        view = probe.elsewhere(store.view) if names else store.view
        page = Page(view, time.time, life, created=web.openmetrics_created)
        front = Front(
            web.listen_address,
            {**_resources(store, web.telemetry_path, page), **_probes(names, store, current)},
            Limits(connections=web.max_connections),
            security,
            {"/-/reload": Fresh(lambda: _reloaded(current))} if web.enable_lifecycle else {},
            sockets,
        )
        try:
            with (
                following(source, store, storage, current),
                watching(watched, store, storage, current, stop or threading.Event()),
            ):
                yield front
        finally:
            front.close(LAST_ANSWERS_SECONDS)


@contextlib.contextmanager
def following(source: Source, store: Store, storage: Storage | None, current: Current) -> Iterator[None]:
    """A thread that follows `source` and puts what it learns into `store`, until the block ends."""
    follower = Follower(source, store, storage, lambda: current.config, time.time, time.monotonic)
    over = threading.Event()
    thread = threading.Thread(
        target=follow,
        args=(follower, lambda: current.config, over, time.monotonic),
        name=source_name(source),
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LAST_STEP_SECONDS)


@contextlib.contextmanager
def watching(
    watched: Mapping[WorkspaceSettings, Workspace],
    store: Store,
    storage: Storage | None,
    current: Current,
    stop: threading.Event,
) -> Iterator[None]:
    """A thread a workspace that puts what its collectors learn into `store`, until the block ends."""
    threads = []
    for settings, client in watched.items():
        poller = Poller(
            client, settings, collectors.WORKSPACE, store, storage, lambda: current.config, time.time, time.monotonic
        )
        threads.append(threading.Thread(target=poll, args=(poller, stop), name=f"workspace-{settings.name}", daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for client in watched.values():
            client.close()
        end = time.monotonic() + LAST_STEP_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def source_name(source: Source) -> str:
    """What the thread of a source is called."""
    return type(source).__name__.lower()


def _until_told(told: SimpleQueue[int], current: Current, seconds: float | None = None) -> None:
    """Waits for a word that ends, at most so many seconds; SIGHUP is none, and obeyed."""
    limit = None if seconds is None else time.monotonic() + seconds
    with contextlib.suppress(Empty):
        while told.get(timeout=None if limit is None else max(0.0, limit - time.monotonic())) == signal.SIGHUP:
            current.reload()


def _reloaded(current: Current) -> Answer:
    return text(200, "settings read anew") if current.reload() else text(500, "settings not read anew; the log says why")


def _resources(store: Store, telemetry_path: str, page: Page) -> dict[str, Resource]:
    healthy, ready, not_ready = text(200, "healthy"), text(200, "ready"), text(503, "not ready")
    resources: dict[str, Resource] = {
        "/-/healthy": Plain(lambda: healthy),
        "/-/ready": Plain(lambda: ready if store.view().ready else not_ready),
        telemetry_path: page,
    }
    for path, made in landing.resources(store, time.time, telemetry_path).items() if telemetry_path != "/" else ():
        resources[path] = (Fresh if path == landing.API else Plain)(_answered(made))
    return resources


def _probes(names: Sequence[str], store: Store, current: Current) -> dict[str, Resource]:
    """The pages of workspaces that have one each, and their list."""
    if not names:
        return {}

    def is_on(collector: str) -> bool:
        return bool(getattr(current.config.collector, collector))

    return {
        probe.PATH: probe.Probe(names, store.view, time.time, is_on, created=current.config.web.openmetrics_created),
        discovery.PATH: discovery.Discovery(names, store.view, time.time, lambda cluster: cluster.driver_private_ip),
    }


def _answered(made: landing.Resource) -> Callable[[], Answer]:
    return lambda: Answer(*made())
