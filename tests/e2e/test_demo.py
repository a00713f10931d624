"""The demo as a newcomer runs it: what its page shows, and that nothing is left of it, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.demo.streams import STREAMS
from tests.e2e.page import Page, fetched
from tests.e2e.processes import Child, free_port, spawn
from tests.e2e.spark import SPARK_4
from tests.e2e.stage import Stage
from tests.e2e.waiting import eventually

COMMAND = Path(sys.prefix) / "bin" / "lakehouse-exporter"


def started(stage: Stage, *options: str) -> tuple[Child, str]:
    """The demo, its temporary files in the stage's folder, and where it serves."""
    address = f"127.0.0.1:{free_port()}"
    child = spawn(
        [COMMAND, "demo", *options],
        stage.log("demo"),
        environ={
            "SPARK_HOME": str(SPARK_4.home),
            "TMPDIR": str(stage.folder),
            "LAKEHOUSE_EXPORTER_WEB_LISTEN_ADDRESS": address,
        },
    )
    stage.ends.callback(child.kill)
    return child, f"http://{address}/metrics"


def told(page: Page | None) -> bool:
    """Whether each stream shows what it is there for."""

    def total(name: str, **labels: str) -> float:
        return page.total(f"spark_streaming_{name}", **labels) if page else 0

    return (
        total("batches_total", query="healthy", kind="data") > 3
        and total("watermark_timestamp_seconds", query="windowed_counts") > 0
        and total("state_rows", query="windowed_counts") > 0
        and total("rocksdb_operations_total", query="windowed_counts", operation="put") > 0
        and total("batch_overruns_total", query="overrunning") > 3
        and total("idle_signals_total", query="idle") > 0
        and total("query_starts_total", query="failing") > 1
        and total("query_terminations_total", query="failing", **{"class": "user_code"}) > 1
        and total("last_batch_timestamp_seconds", query="behind") - total("event_time_max_timestamp_seconds", query="behind")
        > 15
        and total("input_rows_total", query="each_batch") > 0
        and total("query_terminations_total", query="nightly", **{"class": "finished"}) > 0
    )


def alive(stage: Stage) -> list[str]:
    """Command lines of processes that work in the stage's folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_text(errors="replace").replace("\0", " ")
        except OSError:  # it ended while we looked
            continue
        if f"{stage.folder}/lakehouse-exporter-demo-" in command:
            found.append(command)
    return found


def test_a_newcomer_sees_every_stream(stage: Stage) -> None:
    """All streams show what they are there for, promtool finds no fault, and the demo ends by itself with 0 and leaves nothing."""
    child, url = started(stage, "--seconds=60")
    page = eventually(
        lambda: fetched(url) if told(fetched(url)) else None, f"every stream has shown itself, see {child.log}", within=175
    )
    text = subprocess.run(["curl", "-sf", url], check=True, capture_output=True, timeout=10).stdout
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)

    assert {labels["query"] for labels, _ in page.find("spark_streaming_query_info")} == set(STREAMS)
    assert page.total("spark_streaming_events_lost_total") == 0
    assert page.total("spark_streaming_query_failures_total") == page.value(
        "spark_streaming_query_failures_total", query="failing"
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert child.exit_code(within=120) == 0
    assert alive(stage) == []
    assert list(stage.folder.glob("lakehouse-exporter-demo-*")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_demo(stage: Stage, number: signal.Signals) -> None:
    """Ended by a signal while Spark is starting, it leaves no process; and where it was asked to end, no file."""
    child, _ = started(stage)
    eventually(lambda: [command for command in alive(stage) if "SparkSubmit" in command], "Spark is starting", within=60)
    child.process.send_signal(number)
    code = child.exit_code(within=20)
    eventually(lambda: not alive(stage), "nothing is left", within=10)

    if number != signal.SIGKILL:
        assert code == 0
        assert list(stage.folder.glob("lakehouse-exporter-demo-*")) == []
