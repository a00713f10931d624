"""Every metric of a streaming query, declared beside what its events mean, in page order; computes nothing."""

from __future__ import annotations

from exporter.metric import Metric, counter, gauge, histogram, info, stateset

QUERY = ("app", "query")

INFO = info(
    "spark_streaming_query_info",
    "Ids and names of a query's newest run (QueryStartedEvent, listener facts, Databricks usage tags).",
    (
        *QUERY,
        "query_id",
        "run_id",
        "name",
        "sink",
        "trigger",
        "spark_version",
        "workspace",
        "cluster_id",
        "job_id",
        "job_run_id",
    ),
)
ACTIVE = gauge(
    "spark_streaming_query_active", "Whether the query runs (QueryStartedEvent, QueryTerminatedEvent).", QUERY, unit=""
)
STATUS = stateset(
    "spark_streaming_query_status", "What the query does now, 1 for the present state (StreamingQuery.status message).", QUERY
)
STARTS = counter("spark_streaming_query_starts_total", "Starts of the query (QueryStartedEvent).", QUERY)
TERMINATIONS = counter(
    "spark_streaming_query_terminations_total",
    "Ends of the query: stopped, finished, driver_lost, the class of the failure, or untold (QueryTerminatedEvent exception).",
    (*QUERY, "class"),
)
FAILURES = counter(
    "spark_streaming_query_failures_total",
    "Ends of the query by a failure of any class (QueryTerminatedEvent exception).",
    QUERY,
)
START = gauge(
    "spark_streaming_start_timestamp_seconds", "When the query's newest run started (QueryStartedEvent timestamp).", QUERY
)
LAST_FAILURE = gauge(
    "spark_streaming_last_failure_timestamp_seconds",
    "When the query last ended by a failure of this class, or with its driver (QueryTerminatedEvent).",
    (*QUERY, "class"),
)
LAST_SIGNAL = gauge(
    "spark_streaming_last_signal_timestamp_seconds",
    "When the query last gave a sign of life: a start, progress or idle event (driver's clock at the event's arrival).",
    QUERY,
)
LAST_BATCH = gauge(
    "spark_streaming_last_batch_timestamp_seconds",
    "End of the last batch that was told (StreamingQueryProgress timestamp + durationMs.triggerExecution).",
    QUERY,
)
BATCH_ID = gauge(
    "spark_streaming_batch_id", "Id of the last batch that was told (StreamingQueryProgress batchId).", QUERY, unit=""
)
BATCHES = counter(
    "spark_streaming_batches_total",
    "Batches that were told, with data or without (StreamingQueryProgress numInputRows).",
    (*QUERY, "kind"),
)
IDLE_SIGNALS = counter("spark_streaming_idle_signals_total", "Signs of life without a batch (QueryIdleEvent).", QUERY)
UNOBSERVED = counter(
    "spark_streaming_batches_unobserved_total",
    "Batches that were committed and never told: jumps of the batch id of one query id (StreamingQueryProgress batchId).",
    QUERY,
)
INPUT_ROWS = counter(
    "spark_streaming_input_rows_total",
    "Rows read; a foreachBatch that reads its batch twice counts them twice (StreamingQueryProgress sources.numInputRows).",
    (*QUERY, "source"),
)
OFFSET_ROWS = counter(
    "spark_streaming_offset_rows_total",
    "Rows by offsets, end less start over all partitions, where offsets count rows (StreamingQueryProgress sources.endOffset).",
    (*QUERY, "source"),
)
OUTPUT_ROWS = counter(
    "spark_streaming_output_rows_total",
    "Rows written, where the sink tells (StreamingQueryProgress sink.numOutputRows).",
    QUERY,
)
BATCH_DURATION = histogram(
    "spark_streaming_batch_duration_seconds",
    "Time from a batch's trigger to its commit (StreamingQueryProgress durationMs.triggerExecution).",
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800),
    QUERY,
)
PHASE_SECONDS = counter(
    "spark_streaming_phase_seconds_total",
    "Batch time by phase; `other` is what Spark gives to no phase, so that phases sum to the batches' time"
    " (StreamingQueryProgress durationMs).",
    (*QUERY, "phase"),
)
TRIGGER_INTERVAL = gauge(
    "spark_streaming_trigger_interval_seconds",
    "Interval of a processing-time trigger, 0 for as fast as possible (StreamExecution trigger).",
    QUERY,
)
OVERRUNS = counter(
    "spark_streaming_batch_overruns_total",
    "Batches with data that took longer than the trigger's interval (StreamingQueryProgress durationMs.triggerExecution).",
    QUERY,
)
MISSED_TRIGGERS = counter(
    "spark_streaming_missed_triggers_total",
    "Triggers that passed unserved while a batch overran: whole intervals in it, less one"
    " (StreamingQueryProgress durationMs.triggerExecution).",
    QUERY,
)
SOURCE_INFO = info(
    "spark_streaming_source_info",
    "Kind of each source, by its position (StreamingQueryProgress sources.description).",
    (*QUERY, "source", "kind"),
)
BACKLOG_KNOWN = gauge(
    "spark_streaming_source_backlog_known",
    "Whether the source tells how far it is behind; at 0 nobody can say that it has caught up (StreamingQueryProgress sources).",
    (*QUERY, "source"),
    unit="",
)
BACKLOG_ROWS = gauge(
    "spark_streaming_source_backlog_rows",
    "Rows not read yet at the last batch, over all partitions (StreamingQueryProgress sources.latestOffset, endOffset).",
    (*QUERY, "source"),
)
BACKLOG_MAX_PARTITION_ROWS = gauge(
    "spark_streaming_source_partition_backlog_max_rows",
    "Rows not read yet in the partition that is furthest behind (StreamingQueryProgress sources.latestOffset, endOffset).",
    (*QUERY, "source"),
)
BACKLOG_BYTES = gauge(
    "spark_streaming_source_backlog_bytes",
    "Bytes not read yet at the last batch (StreamingQueryProgress sources.metrics).",
    (*QUERY, "source"),
)
BACKLOG_FILES = gauge(
    "spark_streaming_source_backlog_files",
    "Files not read yet at the last batch (StreamingQueryProgress sources.metrics).",
    (*QUERY, "source"),
)
BACKLOG_SECONDS = gauge(
    "spark_streaming_source_backlog_seconds",
    "How far behind the newest record the source reads (StreamingQueryProgress sources.metrics).",
    (*QUERY, "source"),
)
BACKLOGS = (BACKLOG_KNOWN, BACKLOG_ROWS, BACKLOG_MAX_PARTITION_ROWS, BACKLOG_BYTES, BACKLOG_FILES, BACKLOG_SECONDS)
WATERMARK = gauge(
    "spark_streaming_watermark_timestamp_seconds",
    "The watermark of the last batch, left out until there is one (StreamingQueryProgress eventTime.watermark).",
    QUERY,
)
EVENT_TIME_MAX = gauge(
    "spark_streaming_event_time_max_timestamp_seconds",
    "Newest event time in the last batch, of the first watermark only (StreamingQueryProgress eventTime.max).",
    QUERY,
)
EVENT_TIME_MIN = gauge(
    "spark_streaming_event_time_min_timestamp_seconds",
    "Oldest event time in the last batch, of the first watermark only (StreamingQueryProgress eventTime.min).",
    QUERY,
)
DROPPED_ROWS = counter(
    "spark_streaming_rows_dropped_by_watermark_total",
    "Late rows dropped, counted after aggregation and so a lower bound (StateOperatorProgress numRowsDroppedByWatermark).",
    (*QUERY, "operator"),
)
STATE_ROWS = gauge(
    "spark_streaming_state_rows", "Rows in the state store (StateOperatorProgress numRowsTotal).", (*QUERY, "operator")
)
STATE_MEMORY = gauge(
    "spark_streaming_state_memory_bytes",
    "Memory of the state store (StateOperatorProgress memoryUsedBytes).",
    (*QUERY, "operator"),
)
STATE_UPDATED = counter(
    "spark_streaming_state_rows_updated_total",
    "Rows updated in the state store (StateOperatorProgress numRowsUpdated).",
    (*QUERY, "operator"),
)
STATE_REMOVED = counter(
    "spark_streaming_state_rows_removed_total",
    "Rows removed from the state store (StateOperatorProgress numRowsRemoved).",
    (*QUERY, "operator"),
)
STATE_COMMIT_SECONDS = counter(
    "spark_streaming_state_commit_seconds_total",
    "Time to commit state, summed over partitions (StateOperatorProgress commitTimeMs).",
    (*QUERY, "operator"),
)
STATE_INSTANCES = gauge(
    "spark_streaming_state_store_instances",
    "Instances of the state store (StateOperatorProgress numStateStoreInstances).",
    (*QUERY, "operator"),
    unit="",
)
STATE_PARTITIONS = gauge(
    "spark_streaming_state_shuffle_partitions",
    "Shuffle partitions that the checkpoint is bound to (StateOperatorProgress numShufflePartitions).",
    (*QUERY, "operator"),
)
SNAPSHOT_LAG = gauge(
    "spark_streaming_state_snapshot_lag_batches",
    "Batches since the oldest newest snapshot of a partition's state, left out until each has one"
    " (StateOperatorProgress customMetrics.SnapshotLastUploaded).",
    (*QUERY, "operator"),
)
DUPLICATES_DROPPED = counter(
    "spark_streaming_duplicate_rows_dropped_total",
    "Rows dropped as duplicates (StateOperatorProgress customMetrics.numDroppedDuplicateRows).",
    (*QUERY, "operator"),
)
ROCKSDB_SECONDS = counter(
    "spark_streaming_rocksdb_seconds_total",
    "Time in RocksDB by operation, summed over partitions (StateOperatorProgress customMetrics.rocksdb*Latency).",
    (*QUERY, "operator", "operation"),
)
ROCKSDB_OPERATIONS = counter(
    "spark_streaming_rocksdb_operations_total",
    "Operations of RocksDB (StateOperatorProgress customMetrics.rocksdb*Count).",
    (*QUERY, "operator", "operation"),
)
ROCKSDB_BYTES = counter(
    "spark_streaming_rocksdb_bytes_total",
    "Bytes that RocksDB moved, by operation (StateOperatorProgress customMetrics.rocksdb*Bytes*).",
    (*QUERY, "operator", "operation"),
)
ROCKSDB_FILES = counter(
    "spark_streaming_rocksdb_files_total",
    "Files that RocksDB's commits copied or used again (StateOperatorProgress customMetrics.rocksdbFiles*).",
    (*QUERY, "operator", "operation"),
)
ROCKSDB_SST_BYTES = gauge(
    "spark_streaming_rocksdb_sst_bytes",
    "Size of all SST files (StateOperatorProgress customMetrics.rocksdbSstFileSize).",
    (*QUERY, "operator"),
)
ROCKSDB_PINNED_BYTES = gauge(
    "spark_streaming_rocksdb_pinned_blocks_bytes",
    "Memory of pinned blocks, outside of the heap (StateOperatorProgress customMetrics.rocksdbPinnedBlocksMemoryUsage).",
    (*QUERY, "operator"),
)
OBSERVED = gauge(
    "spark_streaming_observed_value",
    "Numbers that the query observes in its last batch (StreamingQueryProgress observedMetrics, Dataset.observe).",
    (*QUERY, "observation", "column"),
    unit="",
)
OBSERVED_DROPPED = gauge(
    "spark_streaming_observed_values_dropped",
    "Numbers of the last batch's observations that are over the cap and not shown (StreamingQueryProgress observedMetrics).",
    QUERY,
    unit="",
)

# In page order.
METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
BY_NAME = {metric.name: metric for metric in METRICS}

# Shown at 0 from a query's first event on, so that the first failure and the first row are an increase.
BORN_AT_ZERO: tuple[tuple[str, ...], ...] = (
    (STARTS.name,),
    (FAILURES.name,),
    *((TERMINATIONS.name, ending) for ending in ("stopped", "finished", "driver_lost")),
    *((BATCHES.name, kind) for kind in ("data", "no_data")),
    (IDLE_SIGNALS.name,),
    (UNOBSERVED.name,),
    (INPUT_ROWS.name, "0"),
)
