"""What end-to-end tests may ask for; on a failure, shows the end of the logs of the programs that ran."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e import kafka
from tests.e2e.kafka import Broker
from tests.e2e.spark import LINES, Line, compiled_file_system
from tests.e2e.stage import Stage

LOGS = pytest.StashKey[Path]()
SHOWN_LINES = 25


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are end to end, and no test has to say so."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    folder = item.config.stash.get(LOGS, None)
    if report.failed and folder:
        for log in sorted(log for log in folder.glob("*.log") if log.stat().st_mtime >= report.start):
            lines = log.read_text(errors="replace").splitlines()
            report.sections.append((f"end of {log}", "\n".join(lines[-SHOWN_LINES:])))
    return report


@pytest.fixture(scope="session")
def logs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    request.config.stash[LOGS] = folder
    return folder


@pytest.fixture(scope="session")
def file_system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class path with a file system on it that forks no chmod."""
    return compiled_file_system(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module", params=LINES, ids=lambda line: f"spark-{line.version}")
def line(request: pytest.FixtureRequest) -> Line:
    chosen: Line = request.param
    return chosen


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path, logs: Path, file_system: Path) -> Iterator[Stage]:
    """A stage for this test alone."""
    with ExitStack() as ends:
        yield Stage(re.sub(r"[^\w.-]", "-", request.node.name), tmp_path, logs, file_system, ends)


@pytest.fixture(scope="module")
def shared_stage(
    request: pytest.FixtureRequest, line: Line, tmp_path_factory: pytest.TempPathFactory, logs: Path, file_system: Path
) -> Iterator[Stage]:
    """A stage for all tests of one file on one line of Spark."""
    name = f"{request.path.stem}-{line.version}"
    with ExitStack() as ends:
        yield Stage(name, tmp_path_factory.mktemp(name), logs, file_system, ends)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, logs: Path) -> Iterator[Broker]:
    """One Kafka broker for all tests; each test makes topics of its own, for a topic's deletion takes its time."""
    started = kafka.started(tmp_path_factory.mktemp("kafka"), logs / "kafka.log")
    yield started
    started.child.kill()
