"""The life of the daemon: starts its threads, serves until it is told to end, lingers, and leaves nothing half done."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog

from exporter.config import Config
from exporter.page import page
from exporter.poller import Follower, Source, follow
from exporter.snapshot import Store
from exporter.sources.drivers import Drivers
from exporter.storage import Storage, opened
from exporter.web import Answers, Front

log = structlog.get_logger()
# What a step under way may take at most when the daemon ends: a driver's deadline and the folding of its answer.
LAST_STEP_SECONDS = 4.0


def serve(config: Config, told: SimpleQueue[int]) -> None:
    """Follows drivers and serves pages until it is `told` to end, then for `shutdown.linger` more, or until told again.

    Raises StorageError where the state can't be used, OSError where the address can't be listened on.
    """
    with contextlib.ExitStack() as stack:
        storage = stack.enter_context(opened(Path(config.storage.path))) if config.storage.path else None
        source = Drivers(Path(config.drivers.dir), time.time, time.monotonic)
        with running(source, storage, config) as front:
            log.info("serving", address=config.web.listen_address, port=front.port, drivers=config.drivers.dir)
            told.get()
            if config.shutdown.linger:
                log.info("lingering", seconds=config.shutdown.linger)
                with contextlib.suppress(Empty):
                    told.get(timeout=config.shutdown.linger)
        log.info("ended")


@contextlib.contextmanager
def running(source: Source, storage: Storage | None, config: Config) -> Iterator[Front]:
    """The threads that follow `source` and serve its page, until the block ends."""
    store = Store()
    follower = Follower(source, store, storage, config.streaming.keep_ended, time.time, time.monotonic)
    front = Front(config.web.listen_address, Answers(lambda: page(store.view(), time.time()), lambda: store.view().ready))
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
        front.close()
        follower.close()


def source_name(source: Source) -> str:
    """What the thread of a source is called."""
    return type(source).__name__.lower()
