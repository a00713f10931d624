"""The whole page of one moment, from what the Store holds; asks nobody, and a fault in one snapshot costs that snapshot."""

from __future__ import annotations

import structlog

from exporter import catalogue, exposition, health
from exporter.snapshot import View

log = structlog.get_logger()


def page(view: View, now: float) -> bytes:
    """The text of `/metrics` at `now` (seconds since 1970): every snapshot that has not expired, then the exporter's own."""
    found: exposition.Families = {metric: {} for metric in catalogue.METRICS}
    failed = 0
    for name, snapshot in view.snapshots.items():
        if now >= snapshot.expires:
            continue
        try:
            samples = (sample for collector in snapshot.collectors for sample in collector.samples(snapshot.record))
            exposition.add(found, exposition.families(samples, catalogue.METRICS))
        except Exception:  # a fault of ours in one target must not take the page from the others: told in log and metric
            log.exception("snapshot not rendered", target=name)
            failed += 1
    kept, dropped = exposition.bounded(found)
    own = exposition.families(health.samples(view, dropped, failed), health.METRICS)
    return exposition.text(kept) + exposition.text(own) + exposition.process()
