"""Bounded words for Spark's free texts about a query's sources, sink and trigger; no path, argument or hash gets past here."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple


class Trigger(NamedTuple):
    """A query's trigger: its kind, its interval in seconds where it has one, and both in one short label."""

    kind: str
    interval: float | None
    label: str


# A stream says the same in every batch: asked once, it is known.
@functools.lru_cache(maxsize=4096)
def type_name(description: str) -> str:
    """The Java type that a source's or sink's description starts with, without package, arguments and object hash.

    `DeltaSink[/path]` is `DeltaSink`; `org.apache…noop.NoopTable$@4f37` is `NoopTable`. Descriptions are those types'
    own toString, so they may be anything: what does not start with the name of a type is `other`.
    """
    qualified = _QUALIFIED.match(description[:_LONGEST_DESCRIPTION])
    names = _TYPE.findall(qualified[0]) if qualified else []
    return names[-1] if names and len(names[-1]) <= _LONGEST_NAME else "other"


def sink_label(description: str) -> str:
    """A sink's type as a label value: SinkProgress.description (org.apache.spark.sql.streaming) bounded by `type_name`."""
    return type_name(description)


@functools.lru_cache(maxsize=1024)
def trigger(text: str | None) -> Trigger:
    """Read the text of a Trigger (org.apache.spark.sql.execution.streaming.Triggers, whose arguments are milliseconds).

    `ProcessingTimeTrigger(2000)` is `processing_time`, 2.0 seconds, labelled `processing_time 2s`; 0 seconds is "as fast
    as possible". A text that is not known is `other`; None, where the driver does not tell it, has an empty label.
    """
    if text is None:
        return Trigger("other", None, "")
    parts = _TRIGGER.fullmatch(text)
    kind = _TRIGGERS.get(parts[1], "other") if parts else "other"
    if parts is None or parts[2] is None or kind == "other":
        return Trigger(kind, None, kind)
    interval = int(parts[2]) / 1000
    return Trigger(kind, interval, f"{kind} {interval:.3f}".rstrip("0").rstrip(".") + "s")


_LONGEST_DESCRIPTION = 1024
_LONGEST_NAME = 64
# A scheme or a folder at the start (s3://, data/) is no type: a type is followed by its arguments, its hash, or nothing.
_QUALIFIED = re.compile(r"[A-Za-z_$][\w$.]*(?![\w$./:-])", re.ASCII)
# Scala ends an object's name with $, and numbers what has no name: Table$, Outer$Table, Outer$$anon$1.
_TYPE = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*")

_TRIGGER = re.compile(r"(\w+)(?:\(([0-9]{1,15})\))?", re.ASCII)
_TRIGGERS = {
    "ProcessingTimeTrigger": "processing_time",
    "AvailableNowTrigger": "available_now",
    "OneTimeTrigger": "once",
    "ContinuousTrigger": "continuous",
    "RealTimeTrigger": "real_time",
}
