"""`/probe`: one page for each workspace, of its newest snapshots alone; asks no workspace, a poller has asked it already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from exporter import collectors, probe_health
from exporter.answer import Answer, Later, text
from exporter.negotiation import Wanted
from exporter.page import Own, Page
from exporter.snapshot import WORKSPACE, Outcome, Snapshot, View

PATH = "/probe"
TARGET = "target"

_ASKING = frozenset(polled.collector.name for polled in collectors.WORKSPACE)
_NOTHING = View({}, {}, ready=False)
_ONE_TARGET = text(400, "one target is expected")
_UNKNOWN = text(404, "no such workspace")
_NO_DRIVERS = text(404, "drivers are not probed")


def elsewhere(view: Callable[[], View]) -> Callable[[], View]:
    """The views of `view` without what is of a workspace: what is left for `/metrics` where workspaces are probed."""
    parts = _Parts(view)
    return lambda: parts.of("")


class Probe:
    """Answers the page of the workspace that `target` names, one of `workspaces`; safe to use from any thread.

    `enabled` says of a collector's name whether it is switched on. Before each of those has looked once, who asks waits; when
    a scrape's patience is at its end, it is given what there is. The rest as for `Page`.
    """

    def __init__(
        self,
        workspaces: Iterable[str],
        view: Callable[[], View],
        clock: Callable[[], float],
        enabled: Callable[[str], bool],
        *,
        created: bool = False,
    ) -> None:
        self._clock = clock
        self._enabled = enabled
        self._created = created
        self._parts = _Parts(view)
        self._pages = {name: self._page(name) for name in workspaces}

    def kept(self, wanted: Wanted) -> Answer | Later | None:
        """The page as it was made last, or why there is none; LATER before the first look is over."""
        found = self._asked(wanted)
        if isinstance(found, Answer):
            return found
        return self._pages[found].kept(wanted) if self._looked(found) else Later.LATER

    def made(self, wanted: Wanted) -> Answer:
        """The page of now; 503 where nothing is known of the workspace yet."""
        found = self._asked(wanted)
        return found if isinstance(found, Answer) else self._pages[found].made(wanted)

    def _asked(self, wanted: Wanted) -> Answer | str:
        """The workspace that is asked for, or why none is."""
        targets = wanted.values(TARGET)
        if len(targets) != 1:
            return _ONE_TARGET
        if targets[0] not in self._pages:
            return _UNKNOWN
        # To be given the workspace's page instead would mislead.
        return _NO_DRIVERS if wanted.values("cluster_id") else targets[0]

    def _looked(self, workspace: str) -> bool:
        outcomes = self._parts.of(workspace).outcomes
        return all((name, workspace) in outcomes for name in _ASKING if self._enabled(name))

    def _page(self, workspace: str) -> Page:
        own = Own(
            lambda view, rendering, _: probe_health.samples(view, rendering, looked=self._looked(workspace)),
            probe_health.TOLD,
            process=False,
        )
        return Page(lambda: self._parts.of(workspace), self._clock, created=self._created, own=own)


class _Parts:
    """What of a view is of which workspace, or of none: the same objects while they have not changed, so that pages keep.

    All are parted at once: at the start every workspace's scrape may wait here, and asks again and again.
    """

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self._kept: tuple[View | None, Mapping[str, View]] = None, {}

    def of(self, workspace: str) -> View:
        """What is of a workspace now; "" stands for none."""
        whole = self._view()
        seen, parts = self._kept
        if seen is not whole:
            before = parts
            parts = {name: _kept(before.get(name), part) for name, part in _parted(whole).items()}
            self._kept = whole, parts
        return parts.get(workspace, _NOTHING)


def _parted(view: View) -> dict[str, View]:
    snapshots: dict[str, dict[str, Snapshot]] = defaultdict(dict)
    outcomes: dict[str, dict[tuple[str, str], Outcome]] = defaultdict(dict)
    for name, snapshot in view.snapshots.items():
        workspace = name.removeprefix(WORKSPACE).partition("/")[0] if name.startswith(WORKSPACE) else ""
        snapshots[workspace][name] = snapshot
    for key, outcome in view.outcomes.items():
        # A driver's application may bear a workspace's name.
        outcomes[key[1] if key[0] in _ASKING else ""][key] = outcome
    found = {name: View(snapshots[name], outcomes[name], ready=True) for name in {*snapshots, *outcomes}}
    return {**found, "": View(snapshots[""], outcomes[""], view.ready)}


def _kept(before: View | None, now: View) -> View:
    """The older of two views that hold the same objects: to compare what is in them would take longer than to make a page."""
    if before is None or before.ready != now.ready:
        return now
    return before if _identities(before) == _identities(now) else now


def _identities(view: View) -> dict[object, int]:
    return {key: id(value) for entries in (view.snapshots, view.outcomes) for key, value in entries.items()}
