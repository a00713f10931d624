"""exporter/demo/readings.py"""

from pathlib import Path

import pytest

from exporter.demo.page import Page, parsed
from exporter.demo.readings import Reading, readings, recent, rows_per_second

RECORDS = Path(__file__).parents[1] / "records" / "demo"


def page(name: str) -> Page:
    return parsed((RECORDS / f"{name}.prom").read_text())


def test_recorded() -> None:
    """Each stream of a real page, as its author meant it."""
    found = readings(page("before"))

    assert list(found) == ["healthy", "windowed_counts", "overrunning", "idle", "failing", "behind", "each_batch", "nightly"]
    assert found["overrunning"].overruns > 2
    assert found["windowed_counts"].state_rows == 21
    assert (found["failing"].failures, found["failing"].failure) == (5, "user_code")
    assert (found["nightly"].state, found["nightly"].runs_finished) == ("finished", 2)
    assert (found["idle"].state, found["idle"].batches) == ("waiting", 1)
    assert found["healthy"].backlog_rows == 0


def test_bare() -> None:
    """A stream of which nothing is told but that it runs."""
    assert readings(parsed('spark_streaming_query_active{query="a"} 1')) == {"a": Reading("a", "active")}


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        ("", "stopped"),
        ('spark_streaming_query_terminations_total{query="a",class="finished"} 1', "finished"),
        ('spark_streaming_last_failure_timestamp_seconds{query="a",class="oom"} 7', "failed"),
        # It failed, was started again, and then stopped.
        ('spark_streaming_last_failure_timestamp_seconds{query="a",class="oom"} 3', "stopped"),
    ],
)
def test_ended(ends: str, state: str) -> None:
    """A query that does not run is shown by how its newest run ended."""
    lines = ('spark_streaming_query_active{query="a"} 0', 'spark_streaming_start_timestamp_seconds{query="a"} 5', ends)

    assert readings(parsed("\n".join(lines)))["a"].state == state


@pytest.mark.parametrize(("message", "state"), [("waiting_for_trigger", "waiting"), ("processing", "processing")])
def test_running(message: str, state: str) -> None:
    """A query that runs is shown by its status."""
    lines = ('spark_streaming_query_active{query="a"} 1', f'spark_streaming_query_status{{query="a",state="{message}"}} 1')

    assert readings(parsed("\n".join(lines)))["a"].state == state


def moment(at: float, **rows: float) -> tuple[float, dict[str, Reading]]:
    return at, {stream: Reading(stream, "active", rows=count) for stream, count in rows.items()}


def test_rows_per_second() -> None:
    """The rate is that between the oldest and the newest moment that know the stream."""
    moments = (moment(0), moment(2, a=100), moment(3, a=105), moment(6, a=120, b=1))

    assert rows_per_second(moments, "a") == 5
    assert rows_per_second(moments, "b") is None
    assert rows_per_second(moments, "c") is None


def test_recent() -> None:
    """Moments older than a rate looks back are forgotten."""
    moments = (moment(0), moment(9.5), moment(12))

    assert recent(moments, moment(19)) == (moment(9.5), moment(12), moment(19))
