"""What one progress event says, as numbers by series; pure, and without memory: what to add and what to set is all it tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter.metric import Metric, label_value
from exporter.streaming import metrics, offsets
from exporter.streaming.events import Progress, Source, StateOperator

# The metric's name, then the values of its labels after `app` and `query`.
Key = tuple[str, ...]

MAX_OBSERVED = 100

# Every key of durationMs that Spark 3.5 to 4.3 and Databricks' runtimes give; another one is part of `other`.
PHASES = (
    "latestOffset",
    "getOffset",
    "setOffsetRange",
    "getEndOffset",
    "getBatch",
    "queryPlanning",
    "walCommit",
    "addBatch",
    "commitBatch",
    "commitOffsets",
)
WHOLE = "triggerExecution"

_MILLISECONDS = 0.001

# customMetrics of a RocksDB state store, all of them amounts of one batch summed over partitions (RocksDBStateStoreProvider).
# Latencies are milliseconds, with or without `Ms` in their name. A key that is not named here is left out:
# SnapshotLastUploaded, for one, has a key for each partition.
_ROCKSDB: tuple[tuple[Metric, float, Mapping[str, str]], ...] = (
    (
        metrics.ROCKSDB_SECONDS,
        _MILLISECONDS,
        {
            "rocksdbGetLatency": "get",
            "rocksdbPutLatency": "put",
            "rocksdbTotalCompactionLatencyMs": "compaction",
            "rocksdbWriterStallLatencyMs": "writer_stall",
            "rocksdbCommitCheckpointLatency": "commit_checkpoint",
            "rocksdbCommitCompactLatency": "commit_compact",
            "rocksdbCommitFileSyncLatencyMs": "commit_file_sync",
            "rocksdbCommitFlushLatency": "commit_flush",
            "rocksdbCommitPauseLatency": "commit_pause",
            "rocksdbCommitWriteBatchLatency": "commit_write_batch",
            "rocksdbChangeLogWriterCommitLatencyMs": "changelog_commit",
            "rocksdbLoadLatencyMs": "load",
            "rocksdbReplayChangeLogLatencyMs": "changelog_replay",
        },
    ),
    (
        metrics.ROCKSDB_OPERATIONS,
        1,
        {
            "rocksdbGetCount": "get",
            "rocksdbPutCount": "put",
            "rocksdbReadBlockCacheHitCount": "block_cache_hit",
            "rocksdbReadBlockCacheMissCount": "block_cache_miss",
            "rocksdbForceSnapshotCount": "force_snapshot",
            "rocksdbNumSnapshotsAutoRepaired": "snapshot_repair",
            "rocksdbNumReplayChangelogFiles": "changelog_replay",
        },
    ),
    (
        metrics.ROCKSDB_BYTES,
        1,
        {
            "rocksdbBytesCopied": "commit_copy",
            "rocksdbTotalBytesRead": "read",
            "rocksdbTotalBytesWritten": "write",
            "rocksdbTotalBytesReadThroughIterator": "iterator_read",
            "rocksdbTotalBytesReadByCompaction": "compaction_read",
            "rocksdbTotalBytesWrittenByCompaction": "compaction_write",
            "rocksdbTotalBytesWrittenByFlush": "flush_write",
        },
    ),
    (metrics.ROCKSDB_FILES, 1, {"rocksdbFilesCopied": "copied", "rocksdbFilesReused": "reused"}),
)
_ROCKSDB_SIZES = (
    ("rocksdbSstFileSize", metrics.ROCKSDB_SST_BYTES),
    ("rocksdbPinnedBlocksMemoryUsage", metrics.ROCKSDB_PINNED_BYTES),
)


class Signals(NamedTuple):
    """What one batch adds to counters, what it sets gauges to (those it does not name are gone), and how long it took."""

    adds: dict[Key, float]
    sets: dict[Key, float]
    duration: float | None
    behind: frozenset[str]


def of_progress(progress: Progress, interval: float | None, behind: frozenset[str]) -> Signals:
    """The signals of one batch.

    `interval` is the processing-time trigger's, in seconds, None where there is none. `behind` names the sources that
    were seen behind their newest offset in this run; the answer's `behind` holds those of this batch as well.
    """
    adds: dict[Key, float] = {}
    sets: dict[Key, float] = {}
    has_data = progress.num_input_rows > 0
    adds[metrics.BATCHES.name, "data" if has_data else "no_data"] = 1
    sets[(metrics.BATCH_ID.name,)] = progress.batch_id

    duration = progress.duration_ms.get(WHOLE)
    seconds = None if duration is None else duration * _MILLISECONDS
    if seconds is not None:
        adds.update(_phases(progress.duration_ms))
        adds.update(_lateness(seconds, interval, has_data=has_data))
    sets[(metrics.LAST_BATCH.name,)] = progress.timestamp + (seconds or 0.0)

    behind = behind | {str(i) for i, source in enumerate(progress.sources) if offsets.is_behind(source)}
    for position, source in enumerate(progress.sources):
        label = str(position)
        adds[metrics.INPUT_ROWS.name, label] = source.num_input_rows
        moved = offsets.moved(source)
        if moved is not None:
            adds[metrics.OFFSET_ROWS.name, label] = moved
        sets[metrics.SOURCE_INFO.name, label, offsets.kind(source.description)] = 1
        sets.update(_backlog(source, label, seen_behind=label in behind))
    if progress.sink.num_output_rows is not None:
        adds[(metrics.OUTPUT_ROWS.name,)] = progress.sink.num_output_rows

    sets.update(_event_time(progress))
    for position, operator in enumerate(progress.state_operators):
        _state(operator, f"{position}_{label_value(operator.operator_name)}", progress.batch_id, adds, sets)
    sets.update(_observed(progress))
    return Signals(adds, sets, seconds, behind)


def _phases(duration_ms: Mapping[str, float]) -> Iterator[tuple[Key, float]]:
    rest = duration_ms[WHOLE]
    for phase in PHASES:
        if phase in duration_ms:
            rest -= duration_ms[phase]
            yield (metrics.PHASE_SECONDS.name, phase), duration_ms[phase] * _MILLISECONDS
    # Below zero where phases overlap, as with asynchronous progress tracking.
    yield (metrics.PHASE_SECONDS.name, "other"), max(0.0, rest) * _MILLISECONDS


def _lateness(seconds: float, interval: float | None, *, has_data: bool) -> Iterator[tuple[Key, float]]:
    if interval is None:
        return
    overran = 0 < interval < seconds
    yield (metrics.OVERRUNS.name,), int(overran and has_data)
    yield (metrics.MISSED_TRIGGERS.name,), math.floor(seconds / interval) - 1 if overran else 0


def _backlog(source: Source, label: str, *, seen_behind: bool) -> Iterator[tuple[Key, float]]:
    known = offsets.known(source, seen_behind=seen_behind)
    yield (metrics.BACKLOG_KNOWN.name, label), int(known)
    if not known:
        return
    backlog = offsets.backlog(source)
    for metric, value in (
        (metrics.BACKLOG_ROWS, backlog.rows),
        (metrics.BACKLOG_MAX_PARTITION_ROWS, backlog.max_partition_rows),
        (metrics.BACKLOG_BYTES, backlog.bytes),
        (metrics.BACKLOG_FILES, backlog.files),
        (metrics.BACKLOG_SECONDS, backlog.seconds),
    ):
        if value is not None:
            yield (metric.name, label), value


def _event_time(progress: Progress) -> Iterator[tuple[Key, float]]:
    times = progress.event_time
    for metric, value in (
        (metrics.WATERMARK, times.watermark),
        (metrics.EVENT_TIME_MAX, times.max),
        (metrics.EVENT_TIME_MIN, times.min),
    ):
        if value is not None:
            yield (metric.name,), value


def _state(operator: StateOperator, label: str, batch_id: float, adds: dict[Key, float], sets: dict[Key, float]) -> None:
    custom = operator.custom_metrics
    for metric, value in (
        (metrics.STATE_ROWS, operator.num_rows_total),
        (metrics.STATE_MEMORY, operator.memory_used_bytes),
        (metrics.STATE_INSTANCES, operator.num_state_store_instances),
        (metrics.STATE_PARTITIONS, operator.num_shuffle_partitions),
        *((metric, custom.get(name)) for name, metric in _ROCKSDB_SIZES),
    ):
        if value is not None:
            sets[metric.name, label] = value
    adds[metrics.STATE_UPDATED.name, label] = operator.num_rows_updated
    adds[metrics.STATE_REMOVED.name, label] = operator.num_rows_removed
    adds[metrics.STATE_COMMIT_SECONDS.name, label] = operator.commit_time_ms * _MILLISECONDS
    adds[metrics.DROPPED_ROWS.name, label] = operator.num_rows_dropped_by_watermark
    if "numDroppedDuplicateRows" in custom:
        adds[metrics.DUPLICATES_DROPPED.name, label] = custom["numDroppedDuplicateRows"]
    for metric, unit, operations in _ROCKSDB:
        for name, operation in operations.items():
            if name in custom:
                adds[metric.name, label, operation] = custom[name] * unit
    uploaded = [value for name, value in custom.items() if name.startswith("SnapshotLastUploaded.")]
    if uploaded and min(uploaded) >= 0:  # -1: that partition has no snapshot yet
        sets[metrics.SNAPSHOT_LAG.name, label] = max(0.0, batch_id - min(uploaded))


def _observed(progress: Progress) -> Iterator[tuple[Key, float]]:
    values = sorted(
        (label_value(observation), label_value(column), value)
        for observation, columns in progress.observed_metrics.items()
        for column, value in columns.items()
    )
    for observation, column, value in values[:MAX_OBSERVED]:
        yield (metrics.OBSERVED.name, observation, column), value
    if len(values) > MAX_OBSERVED:
        yield (metrics.OBSERVED_DROPPED.name,), len(values) - MAX_OBSERVED
