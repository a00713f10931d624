"""How a query's end is told: by its own failure, with its application, or with its driver."""

from __future__ import annotations

from tests.e2e.exporter_process import Exporter
from tests.e2e.page import Page
from tests.e2e.spark import APPS, Line
from tests.e2e.stage import Stage
from tests.e2e.waiting import eventually, let_run

ACTIVE = "spark_streaming_query_active"
TERMINATIONS = "spark_streaming_query_terminations_total"
REACHABLE = "spark_driver_reachable"
# Spark 3.5 gives NULL for a division by zero where it is not asked to fail.
ANSI = {"spark.sql.ansi.enabled": "true"}
ROWS = {"format": "rate-micro-batch", "options": {"rowsPerBatch": "10"}}


def terminations(page: Page | None, query: str) -> dict[str, float]:
    """How often the query ended, by class; classes that never were are left out."""
    found = page.find(TERMINATIONS, query=query) if page else ()
    return {labels["class"]: count for labels, count in found if count}


def ended(exporter: Exporter, query: str, *, within: float) -> dict[str, float]:
    return eventually(lambda: terminations(exporter.page(), query), f"{query} has ended", within=within)


def lost(page: Page | None, *queries: str) -> bool:
    """Whether each of the queries is inactive, and ended with its driver and in no other way."""
    return page is not None and all(
        page.value(ACTIVE, query=query) == 0 and terminations(page, query) == {"driver_lost": 1} for query in queries
    )


def test_a_failed_query_shows_its_class_and_its_neighbour_goes_on(stage: Stage, line: Line) -> None:
    """A division by zero ends one query with class data_quality; the other query of the driver stays active."""
    exporter = stage.exporter().started()
    driver = stage.driver(line, conf=ANSI)
    driver.start_query("steady", every="1 second", **ROWS)
    driver.start_query("divides", select=["1 / (value - 15) AS never"], **ROWS)
    ends = ended(exporter, "divides", within=90)
    eventually(lambda: exporter.value(ACTIVE, query="divides") == 0, "the failed query is not active", within=10)

    assert ends == {"data_quality": 1}
    assert exporter.value(ACTIVE, query="steady") == 1
    assert terminations(exporter.page(), "steady") == {}


def test_queries_of_a_killed_driver_are_lost_within_5_seconds(stage: Stage, line: Line) -> None:
    """After kill -9 of a driver: within 5 s each of its active queries is inactive and has ended as driver_lost."""
    exporter = stage.exporter().started()
    driver = stage.driver(line)
    for query in ("one", "two"):
        driver.start_query(query, every="1 second", **ROWS)
    eventually(lambda: exporter.total(ACTIVE) == 2, "both queries are active", within=90)
    driver.kill()

    eventually(lambda: lost(exporter.page(), "one", "two"), "both queries are inactive and driver_lost", within=5)


def test_queries_of_a_driver_killed_after_a_long_silence_are_lost_within_5_seconds(stage: Stage, line: Line) -> None:
    """A driver that did not answer for 20 s is asked often enough still for its death to be told as soon as another's."""
    exporter = stage.exporter().started()
    driver = stage.driver(line)
    driver.start_query("one", every="1 second", **ROWS)
    eventually(lambda: exporter.value(ACTIVE, query="one") == 1, "the query is active", within=90)
    driver.child.freeze()
    let_run(20)
    silent = eventually(exporter.page, "a page", within=10)
    driver.kill()

    eventually(lambda: lost(exporter.page(), "one"), "the query is inactive and driver_lost", within=5)
    # Until then it was silent, and not dead.
    assert (silent.value(REACHABLE, app="app"), silent.value(ACTIVE, query="one")) == (0, 1)


def test_a_query_that_took_its_application_with_it_shows_its_class(stage: Stage, line: Line) -> None:
    """The driver's process is gone before the exporter polls again: the class comes from the driver's last words."""
    exporter = stage.exporter().started()
    child = stage.submit(line, APPS / "awaits.py", stage.folder / "checkpoint", conf=ANSI)
    eventually(lambda: list(stage.drivers.glob("*.json")), "the driver is there", within=90)
    exporter.freeze()
    code = child.exit_code(within=90)
    exporter.thaw()

    assert code != 0
    assert ended(exporter, "doomed", within=30) == {"data_quality": 1}
    assert exporter.value(ACTIVE, query="doomed") == 0
