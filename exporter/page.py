"""The page: made by the first who asks after a change, kept until the next; asks nobody, and a fault costs one target."""

from __future__ import annotations

import dataclasses
import math
import threading
import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import structlog

from exporter import catalogue, exposition, health
from exporter.answer import Answer, text
from exporter.exposition import Families, Parts, Prefixes
from exporter.health import Life, Rendering
from exporter.metric import Metric, Sample
from exporter.negotiation import Wanted
from exporter.snapshot import Snapshot, View

MAX_KEPT = 16
# A page is compressed once for all who scrape it; more effort would save little of what goes over a wire.
GZIP_LEVEL = 1
# The last line of every OpenMetrics page; prometheus_client writes it where the process is told of.
END = b"# EOF\n"

log = structlog.get_logger()


class Own(NamedTuple):
    """What a page tells beside what was observed: samples of `metrics`, and of this process where `process` is true."""

    samples: Callable[[View, Rendering, Life], Iterable[Sample]] = health.samples
    metrics: tuple[Metric, ...] = health.METRICS
    process: bool = True


class _Target:
    """What is kept of one target: its last good families, and the collectors and the record that they were made of."""

    def __init__(self) -> None:
        self.made_of: tuple[object, ...] = ()
        self.families: Families = {}
        self.prefixes: Prefixes = {}

    def render(self, snapshot: Snapshot, others: Iterable[Families]) -> None:
        """Makes the families anew, unless what they are made of is the same.

        Raises what a fault of ours raises, and ValueError where a series is one of another target's; the old ones stay.
        """
        made_of = (snapshot.collectors, snapshot.record)
        if self.made_of == made_of:
            return
        samples = (sample for collector in snapshot.collectors for sample in collector.samples(snapshot.record))
        found = exposition.families(samples, catalogue.METRICS, self.prefixes, snapshot.since)
        for metric, family in found.items():
            before = self.families.get(metric)
            if before is None or family.series != before.series:
                exposition.refuse_twins(metric, family, others)
        self.families = found
        self.made_of = made_of


@dataclasses.dataclass(frozen=True)
class _Made:
    """All that one view says, and until when it does; `answers` fills up as they are asked for."""

    view: View
    until: float
    parts: Parts
    answers: dict[Wanted, Answer]


class Page:
    """A view's page as a resource of the front: `kept` is at once, `made` may take long; safe to use from any thread.

    `life` tells what happened to the exporter, `own` what the page says of that. With `created` OpenMetrics is told when each
    counter's counting began.
    """

    def __init__(
        self,
        view: Callable[[], View],
        clock: Callable[[], float],
        life: Callable[[], Life] = Life,
        *,
        created: bool = False,
        own: Own = Own(),  # noqa: B008 -- it is frozen
    ) -> None:
        self._view = view
        self._clock = clock
        self._life = life
        self._created = created
        self._own = own
        self._since = clock()
        self._lock = threading.Lock()
        self._targets: dict[str, _Target] = {}
        self._made: _Made | None = None
        self._renders = 0
        self._bytes = 0

    def kept(self, wanted: Wanted) -> Answer | None:
        """The page as it was made last, where it still holds."""
        made = self._made
        return made.answers.get(wanted.form) if made is not None and self._holds(made) else None

    def made(self, wanted: Wanted) -> Answer:
        """The page of now; whoever asks for it meanwhile waits for this one."""
        with self._lock:
            if not self._view().ready:
                return text(503, "not ready")
            made = self._made
            if made is None or not self._holds(made):
                made = self._made = self._rendered(self._view(), self._clock())
            form = wanted.form
            if form not in made.answers:
                if len(made.answers) >= MAX_KEPT:
                    made.answers.clear()
                made.answers[form] = self._answer(made.parts, form)
            return made.answers[form]

    def _holds(self, made: _Made) -> bool:
        return made.view is self._view() and self._clock() < made.until

    def _rendered(self, view: View, now: float) -> _Made:
        shown = {name: snapshot for name, snapshot in view.snapshots.items() if now < snapshot.expires}
        self._targets = {name: self._targets.get(name, _Target()) for name in shown}
        failed = 0
        for name, target in self._targets.items():
            try:
                target.render(shown[name], [other.families for other in self._targets.values() if other is not target])
            except Exception:  # a fault of ours in one target must not take the page from the others: told in log and metric
                log.exception("snapshot not rendered", target=name)
                failed += 1
        parts, dropped = exposition.bounded([target.families for target in self._targets.values()], catalogue.METRICS)
        self._renders += 1
        rendering = Rendering(dropped, failed, self._renders, exposition.lines(parts), self._bytes)
        own = exposition.families(self._own.samples(view, rendering, self._life()), self._own.metrics, since=self._since)
        if health.FAILURES in own:  # a storage brings some of them back: when their counting began, this page can't say
            own[health.FAILURES] = own[health.FAILURES]._replace(since=0.0)
        until = min((snapshot.expires for snapshot in shown.values()), default=math.inf)
        return _Made(view, until, {**parts, **{metric: [family] for metric, family in own.items()}}, {})

    def _answer(self, parts: Parts, wanted: Wanted) -> Answer:
        chosen = {metric: its for metric, its in parts.items() if _is_wanted(metric, wanted.names)}
        body = exposition.text(chosen, openmetrics=wanted.openmetrics, created=self._created)
        if self._own.process:
            body += exposition.process(openmetrics=wanted.openmetrics, names=wanted.names)
        elif wanted.openmetrics:
            body += END
        if not wanted.names:
            self._bytes = len(body)
        if not wanted.gzip:
            return Answer(200, wanted.content_type, body)
        packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        packed = packer.compress(body) + packer.flush()
        return Answer(200, wanted.content_type, packed, (("Content-Encoding", "gzip"),))


def _is_wanted(metric: Metric, names: tuple[str, ...]) -> bool:
    """Whether a family is asked for: by its own name, or by that of one of its series."""
    family = metric.name.removesuffix("_total").removesuffix("_info")  # as OpenMetrics calls it
    return not names or any({name, name.rpartition("_")[0]} & {metric.name, family} for name in names)


def page(view: View, now: float, wanted: Wanted | None = None) -> bytes:
    """The page of one view at one moment, for those who need it once, ready or not."""
    told = dataclasses.replace(view, ready=True)
    return Page(lambda: told, lambda: now).made(wanted or Wanted()).body
