"""What every test may ask for; the only place that may write a golden page."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

GOLDEN = Path(__file__).parent / "golden"

# A busy machine is not a broken claim, hence no deadline; on CI a failure must come again in the next run.
hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what tests say now into tests/golden")


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """The log that one test sets up is not another's."""
    level = logging.getLogger("py4j").level
    yield
    structlog.reset_defaults()
    logging.getLogger("py4j").setLevel(level)


@pytest.fixture
def handlers() -> Iterator[list[object]]:
    """What SIGTERM, SIGINT and SIGHUP do before a test, and do again after it."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield list(before)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a whole page with the one kept in tests/golden under this name."""
    update: bool = request.config.getoption("--update-golden")

    def compare(name: str, actual: str) -> None:
        kept = GOLDEN / name
        if update:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(actual, encoding="utf-8")

        assert kept.read_text(encoding="utf-8") == actual

    return compare
