"""The life of the daemon: starts its threads, serves until it is told to end, lingers, and leaves nothing half done."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog

from exporter import landing, listening
from exporter.answer import Answer, Fresh, Plain, Resource, text
from exporter.config import Config
from exporter.connection import Limits
from exporter.page import Page
from exporter.poller import Follower, Source, follow
from exporter.snapshot import Store
from exporter.sources.drivers import Drivers
from exporter.storage import Storage, opened
from exporter.web import Front
from exporter.web_security import Security

log = structlog.get_logger()
# What a step under way may take at most when the daemon ends: a driver's deadline and the folding of its answer.
LAST_STEP_SECONDS = 4.0
# What an answer under way may take then: with the step before it stays below the 10 seconds that a container is given.
LAST_ANSWERS_SECONDS = 5.0


def serve(config: Config, told: SimpleQueue[int]) -> None:
    """Follows drivers and serves pages until it is `told` to end, then for `shutdown.linger` more, or until told again.

    Raises StorageError where the state can't be used, ConfigError where the web configuration can't, OSError where an address
    can't be listened on.
    """
    with contextlib.ExitStack() as stack:
        storage = stack.enter_context(opened(Path(config.storage.path))) if config.storage.path else None
        source = Drivers(Path(config.drivers.dir), time.time, time.monotonic)
        handed_over = listening.handed_over(os.environ, os.getpid())
        with running(source, storage, config, handed_over) as front:
            for address, port in zip(config.web.listen_address, front.ports, strict=False):
                log.info("serving", address=address, port=port, drivers=config.drivers.dir)
            told.get()
            if config.shutdown.linger:
                log.info("lingering", seconds=config.shutdown.linger)
                with contextlib.suppress(Empty):
                    told.get(timeout=config.shutdown.linger)
        log.info("ended")


@contextlib.contextmanager
def running(source: Source, storage: Storage | None, config: Config, sockets: Iterable[socket.socket] = ()) -> Iterator[Front]:
    """The threads that follow `source` and serve its page, until the block ends; on `sockets`, where there are some."""
    store = Store()
    # Whatever does not come about below, the source is let go: a session must not keep our listener.
    with contextlib.closing(source):
        follower = Follower(source, store, storage, config.streaming.keep_ended, time.time, time.monotonic)
        page = Page(store.view, time.time, lambda: front.counts())  # noqa: PLW0108 -- the front comes after its page
        front = Front(
            config.web.listen_address,
            _resources(store, config.web.telemetry_path, page),
            Limits(connections=config.web.max_connections),
            Security(Path(config.web.config_file)) if config.web.config_file else None,
            sockets=sockets,
        )
        over = threading.Event()
        thread = threading.Thread(
            target=follow, args=(follower, config.drivers.every, over, time.monotonic), name=source_name(source), daemon=True
        )
        thread.start()
        try:
            yield front
        finally:
            over.set()
            thread.join(LAST_STEP_SECONDS)
            front.close(LAST_ANSWERS_SECONDS)


def source_name(source: Source) -> str:
    """What the thread of a source is called."""
    return type(source).__name__.lower()


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


def _answered(made: landing.Resource) -> Callable[[], Answer]:
    return lambda: Answer(*made())
