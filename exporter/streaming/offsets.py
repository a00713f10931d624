"""What a source's offsets and metrics say of rows read and rows still to read; one rule a kind of source, none guessed."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from exporter.streaming.descriptions import type_name
from exporter.streaming.events import Source


class Backlog(NamedTuple):
    """What a source holds that no batch has read yet; each unit is None where the source does not tell it."""

    rows: float | None = None
    max_partition_rows: float | None = None
    bytes: float | None = None
    files: float | None = None
    seconds: float | None = None


NOTHING_TOLD = Backlog()


# A stream says the same in every batch: asked once, it is known.
@functools.lru_cache(maxsize=4096)
def kind(description: str) -> str:
    """The kind of source behind SourceProgress.description, one of KINDS; told by the type that the text starts with."""
    if _ICEBERG.match(description):
        return "iceberg"
    return next((name for name, types in _TYPES if types.fullmatch(type_name(description))), "other")


def moved(source: Source) -> int | None:
    """Rows between a Kafka source's start and end offset: Σ over partitions of max(0, end - start).

    Unlike numInputRows it is not doubled when a batch is read twice; it counts offsets, so it is too high on compacted
    and transactional topics. A partition without a start is new and adds nothing. None for other kinds, in a query's
    first batch (no start), and when the set of topics changed, for then start and end are not of the same thing.
    """
    if kind(source.description) != "kafka":
        return None
    start, end = _partitions(source.start_offset), _partitions(source.end_offset)
    if start is None or end is None or {topic for topic, _ in start} != {topic for topic, _ in end}:
        return None
    return sum(max(0, end[partition] - start[partition]) for partition in start.keys() & end.keys())


def backlog(source: Source) -> Backlog:
    """What the source has not given to a batch yet, as of the progress event; NOTHING_TOLD where it does not say.

    | kind | from |
    |---|---|
    | kafka | rows: Σ over partitions of max(0, latestOffset - endOffset), and the worst partition; bytes: Databricks' metric |
    | rate | (latestOffset - endOffset) seconds x rowsPerSecond of the description (RateStreamProvider) |
    | delta, cloud_files | metrics numFilesOutstanding, numBytesOutstanding: Databricks only, open source Delta has none |
    | kinesis | metrics maxMsBehindLatest (ms), totalPrefetchedBytes: Databricks only |
    | pubsub | metrics numRecordsReadyToProcess, sizeOfRecordsReadyToProcess: Databricks only |
    | all others | nothing |
    """
    read = _BACKLOGS.get(kind(source.description))
    return NOTHING_TOLD if read is None else read(source)


def is_behind(source: Source) -> bool:
    """Whether a Kafka source's latest offset was seen to differ from the batch's end offset.

    Without a limit (maxOffsetsPerTrigger and its like) KafkaMicroBatchStream reports the batch's own end as the latest
    offset, and so a backlog of 0 for ever; once the two differ, the latest offset is known to be the broker's.
    """
    if kind(source.description) != "kafka":
        return False
    latest, end = _partitions(source.latest_offset), _partitions(source.end_offset)
    return latest is not None and end is not None and latest != end


def known(source: Source, *, seen_behind: bool) -> bool:
    """Whether `backlog(source)` may be believed: the source tells one, and if it is Kafka's, then not out of ignorance.

    `seen_behind`: whether `is_behind` was true of this source before, in the same run of its query.
    """
    told = backlog(source) != NOTHING_TOLD
    return told and (kind(source.description) != "kafka" or seen_behind or is_behind(source))


def _kafka(source: Source) -> Backlog:
    size = source.metrics.get("estimatedTotalBytesBehindLatest")
    latest, end = _partitions(source.latest_offset), _partitions(source.end_offset)
    if latest is None or end is None:
        return Backlog(bytes=size)
    # A partition that the batch did not plan yet has no end: what it holds counts from the batch that does.
    behind = [max(0, latest[partition] - end[partition]) for partition in latest.keys() & end.keys()]
    if latest and not behind:
        return Backlog(bytes=size)
    return Backlog(rows=sum(behind), max_partition_rows=max(behind, default=0), bytes=size)


def _rate(source: Source) -> Backlog:
    latest, end = _integer(source.latest_offset), _integer(source.end_offset)
    rows_per_second = _rows_per_second(source.description)
    if latest is None or end is None or rows_per_second is None:
        return NOTHING_TOLD
    return Backlog(rows=max(0, latest - end) * rows_per_second)


@functools.lru_cache(maxsize=1024)
def _rows_per_second(description: str) -> int | None:
    found = _ROWS_PER_SECOND.search(description)
    return int(found[1]) if found else None


def _files(source: Source) -> Backlog:
    return Backlog(files=source.metrics.get("numFilesOutstanding"), bytes=source.metrics.get("numBytesOutstanding"))


def _kinesis(source: Source) -> Backlog:
    behind = source.metrics.get("maxMsBehindLatest")
    seconds = None if behind is None else behind / 1000
    return Backlog(seconds=seconds, bytes=source.metrics.get("totalPrefetchedBytes"))


def _pubsub(source: Source) -> Backlog:
    metrics = source.metrics
    return Backlog(rows=metrics.get("numRecordsReadyToProcess"), bytes=metrics.get("sizeOfRecordsReadyToProcess"))


def _partitions(offset: Any) -> dict[tuple[str, str], int] | None:
    """KafkaSourceOffset's {topic: {partition: next offset}}, flat; None where it is of another shape."""
    if not isinstance(offset, dict) or not all(isinstance(partitions, dict) for partitions in offset.values()):
        return None
    flat = {
        (topic, partition): _integer(position)
        for topic, partitions in offset.items()
        for partition, position in partitions.items()
    }
    whole = {partition: position for partition, position in flat.items() if position is not None}
    return whole if len(whole) == len(flat) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_ICEBERG = re.compile(r"org\.apache\.iceberg\.")
_ROWS_PER_SECOND = re.compile(r"rowsPerSecond=([0-9]{1,18})")

_TYPES = tuple(
    (name, re.compile(types))
    for name, types in (
        ("kafka", r"KafkaV2|KafkaSourceV1"),
        ("kinesis", r"Kinesis\w*"),
        ("event_hubs", r"EventHubs\w*"),
        ("delta", r"DeltaSource"),
        ("cloud_files", r"CloudFilesSource\w*"),
        ("file", r"FileStreamSource"),
        ("rate", r"RateStreamV2"),
        ("rate_micro_batch", r"RatePerMicroBatchStream"),
        ("pubsub", r"Pub[Ss]ub\w*"),
        ("pulsar", r"Pulsar\w*"),
        ("socket", r"TextSocket\w*"),
        ("memory", r"\w*MemoryStream"),
        ("python", r"PythonMicroBatchStream\w*"),
    )
)

KINDS = (*(name for name, _ in _TYPES), "iceberg", "other")
"""Every kind of source; a closed set, so that it can be a label."""

_BACKLOGS: dict[str, Callable[[Source], Backlog]] = {
    "kafka": _kafka,
    "rate": _rate,
    "delta": _files,
    "cloud_files": _files,
    "kinesis": _kinesis,
    "pubsub": _pubsub,
}
