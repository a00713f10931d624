"""A driver that stops answering has not ended: what is shown meanwhile, and that nothing of it is lost."""

from __future__ import annotations

from tests.e2e.feed import Feed
from tests.e2e.page import Page
from tests.e2e.spark import Line, committed
from tests.e2e.stage import Stage
from tests.e2e.waiting import eventually

ACTIVE = "spark_streaming_query_active"
ROWS = "spark_streaming_input_rows_total"
UNOBSERVED = "spark_streaming_batches_unobserved_total"
LOST = "spark_streaming_events_lost_total"
TERMINATIONS = "spark_streaming_query_terminations_total"
REACHABLE = "spark_driver_reachable"
FAILURES = "lakehouse_exporter_collector_failures_total"
SEED = 20261122


def of_query(page: Page) -> dict[tuple[str, ...], float]:
    """All that the page says of the query."""
    return {(name, *sorted(labels.values())): value for name, labels, value in page.series if labels.get("query") == "orders"}


def test_a_frozen_driver_is_shown_as_it_was_and_goes_on_where_it_stood(stage: Stage, line: Line) -> None:
    """SIGSTOP: unreachable, timeouts counted, values kept. SIGCONT: reachable, and every row of the ledger is counted once."""
    exporter = stage.exporter().started()
    feed = Feed(stage.folder / "orders", seed=SEED, rows_per_file=(1, 50), pause=0.2).start()
    stage.ends.callback(feed.stop)
    driver = stage.driver(line)
    checkpoint = driver.start_query("orders", format="text", path=str(feed.folder), options={"maxFilesPerTrigger": "1"})

    def timeouts() -> float:
        return exporter.total(FAILURES, target="app", reason="timeout") or 0

    eventually(lambda: exporter.total(ROWS, query="orders"), "rows are counted", within=90)
    driver.child.freeze()
    eventually(lambda: exporter.value(REACHABLE, app="app") == 0, "the driver is unreachable", within=30)
    first = eventually(exporter.page, "a page", within=10)
    counted = timeouts()
    eventually(lambda: timeouts() > counted, "another timeout is counted", within=30)
    later = eventually(exporter.page, "a page", within=10)

    assert counted >= 1
    assert of_query(later) == of_query(first)
    assert later.value(ACTIVE, query="orders") == 1

    driver.child.thaw()
    eventually(lambda: exporter.value(REACHABLE, app="app") == 1, "the driver is reachable again", within=30)
    feed.stop()
    eventually(lambda: committed(checkpoint) == feed.files, "the stream has read every file", within=120)
    eventually(lambda: (exporter.total(ROWS, query="orders") or 0) >= feed.rows, f"{feed.rows} rows are counted", within=30)
    page = eventually(exporter.page, "a page", within=10)

    assert page.total(ROWS, query="orders") == feed.rows
    assert (page.total(UNOBSERVED), page.total(LOST), page.total(TERMINATIONS)) == (0, 0, 0)
    assert page.total(ROWS, query="orders") > first.total(ROWS, query="orders")
