"""Tries what the settings name, once, and tells how each thing went; changes nothing, and disturbs no exporter that runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from exporter import web_config
from exporter.config import Config, WorkspaceSettings
from exporter.errors import Reason, SourceError, StorageError
from exporter.metric import label_value
from exporter.poller import FIRST_PATIENCE, Source
from exporter.sources.databricks import Workspace
from exporter.sources.databricks_endpoints import ME
from exporter.storage import Storage
from exporter.streaming import descriptions
from exporter.streaming import state as states
from exporter.streaming.fold import ENDING_TRIGGERS, fold
from exporter.streaming.observation import Answered, Failed, Observation
from exporter.streaming.state import Driver, Query, State

WORKSPACE_SECONDS = 10.0
OK, FAILED, MISSING, GONE = "ok", "failed", "missing", "gone"


class Finding(NamedTuple):
    """One thing that was tried: what it is, its name, the result, and a few words.

    FAILED and MISSING are to be seen to. GONE is a driver that left its connection file behind: killed, and swept by the next.
    """

    kind: str
    name: str
    result: str
    detail: str


def findings(config: Config, source: Source, clock: Callable[[], float]) -> Iterator[Finding]:
    """The web configuration, the storage, each driver, and the streams that are expected.

    Raises ConfigError where the web configuration can't be used.
    """
    if config.web.config_file:
        yield _web(Path(config.web.config_file))
    if config.storage.path:
        yield _storage(Path(config.storage.path))
    state, failed = looked(source, clock)
    yield from _drivers(config.drivers.dir, state, failed)
    for app, query, result, detail in inventory(config, state):
        yield Finding("stream", f"{app} {query}", result, detail)


def of_workspaces(clients: Mapping[WorkspaceSettings, Workspace], monotonic: Callable[[], float]) -> Iterator[Finding]:
    """Each workspace, asked who we are there."""
    for one, client in clients.items():
        with contextlib.closing(client):
            try:
                client.get(ME, dict, monotonic() + WORKSPACE_SECONDS)
            except SourceError as error:
                yield Finding("workspace", one.name, FAILED, f"{error.reason.value}: {error}")
            else:
                yield Finding("workspace", one.name, OK, "it answers")


def inventory(config: Config, state: State) -> Iterator[Finding]:
    """Each expected stream, and whether it runs now; one that has a schedule need not."""
    for expected in config.expected:
        app, name = label_value(expected.app), label_value(expected.query)
        query = state.queries.get((app, name))
        if query is not None and query.active:
            yield Finding(app, name, OK, "it runs")
        elif expected.schedule is not None:
            yield Finding(app, name, OK, f"it does not run; it may rest for {expected.schedule:.0f} seconds")
        else:
            yield Finding(app, name, MISSING, "it has ended" if query is not None else "nothing of it is seen")


def learned(state: State) -> str:
    """The block `expected` of a configuration file that names what runs now."""
    active = sorted((query for query in state.queries.values() if query.active), key=lambda query: (query.app, query.label))
    return "expected:\n" + "".join(map(_entry, active)) if active else "expected: []\n"


def looked(source: Source, clock: Callable[[], float]) -> tuple[State, list[Failed]]:
    """What drivers tell at one look, and those that did not answer; each is waited for as long as its deadline is."""
    observation: Observation = source.observe({}, frozenset(), FIRST_PATIENCE)
    failed = [outcome for outcome in observation.outcomes if isinstance(outcome, Failed)]
    heard = {outcome.answer.epoch if isinstance(outcome, Answered) else outcome.epoch for outcome in observation.outcomes}
    late = f"no whole answer within {FIRST_PATIENCE:.0f} seconds"
    failed += [Failed(epoch, epoch, Reason.TIMEOUT, late, clock()) for epoch in sorted(observation.present - heard)]
    return fold(State(since=clock()), observation), failed


def _web(file: Path) -> Finding:
    found = web_config.read(file)
    said = ["TLS" if found.context else "no TLS", f"{len(found.users)} users" if found.users else "no passwords"]
    return Finding("web", str(file), OK, ", ".join(said))


def _storage(folder: Path) -> Finding:
    try:
        stored = Storage(folder).load()
        queries = len(states.decoded(stored).queries) if stored is not None else 0
    except (StorageError, ValueError) as error:
        return Finding("storage", str(folder), FAILED, str(error))
    place = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("storage", str(folder), FAILED, f"{place} can't be written")
    return Finding(
        "storage", str(folder), OK, f"{queries} queries are remembered" if stored is not None else "nothing stored yet"
    )


def _drivers(folder: str, state: State, failed: list[Failed]) -> Iterator[Finding]:
    unlisted = next((one for one in failed if not one.epoch and not one.app_id), None)
    known = {driver.epoch: driver for driver in state.drivers.values() if driver.ended_at is None}
    if unlisted is not None:
        yield Finding("drivers", folder, FAILED, f"{unlisted.reason.value}: {unlisted.message}")
    else:
        yield Finding("drivers", folder, OK, f"{len(known)} running" if known or failed else "none yet")
    for driver in sorted(known.values(), key=lambda driver: driver.app):
        yield Finding("driver", driver.app, OK, _seen(driver, state))
    for one in failed:
        if one is not unlisted:
            result = GONE if one.reason is Reason.REFUSED else FAILED
            yield Finding("driver", one.app_id, result, f"{one.reason.value}: {one.message}")


def _seen(driver: Driver, state: State) -> str:
    running = sum(query.active for query in state.queries.values() if query.epoch == driver.epoch)
    spark = f"Spark {driver.facts.spark.version}, " if driver.facts.spark and driver.facts.spark.version else ""
    return f"{spark}{running} {'query runs' if running == 1 else 'queries run'}"


def _entry(query: Query) -> str:
    block = yaml.safe_dump([{"app": query.app, "query": query.label}], sort_keys=False, allow_unicode=True, width=10_000)
    lines = [f"  {line}\n" for line in block.removesuffix("\n").split("\n")]
    if descriptions.trigger(query.trigger).kind in ENDING_TRIGGERS:
        lines.append("    schedule: 24h  # it ends by itself: the longest time between two of its runs\n")
    return "".join(lines)
