"""The front's life as its clients see it: ended at any moment, its certificates swapped under load; a real process each time.

`MOMENTS` in the environment says how often: 20 where it is not set, 100 for the whole proof.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.e2e.exporter_process import Exporter
from tests.e2e.scrapers import REQUEST, Outcome, Scrapers, asked, connected
from tests.e2e.waiting import eventually, let_run
from tests.sources.answers import answer, progress, started
from tests.sources.bridge import TOKEN, Answer, Bridge, says

MOMENTS = int(os.environ.get("MOMENTS", "20"))
SEED = 20261122
LATEST_SECONDS = 1.5
# What a container is given between SIGTERM and SIGKILL.
GRACE_SECONDS = 10.0
QUERIES = 400
PAGE_BYTES = 1_000_000
COMMAND = (sys.executable, "-m", "exporter")
BROKEN = (Outcome.CUT, Outcome.UNANSWERED)
WEB_CONFIG = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"


class Life:
    """Exporters that follow the drivers of one folder, over TLS where `tls`, one after the other."""

    def __init__(self, folder: Path, log: Path, authority: Authority, *, tls: bool) -> None:
        self.folder, self._log = folder, log
        self.client = authority.client() if tls else None
        self._options = ["--drivers.every=100ms"]
        (folder / "drivers").mkdir()
        if tls:
            authority.write(folder)
            (folder / "web.yml").write_text(WEB_CONFIG)
            self._options.append(f"--web.config.file={folder}/web.yml")
        self.exporters: list[Exporter] = []

    def begun(self, bridge: Bridge, *options: str) -> Exporter:
        """An exporter that hears signals, and may have come no further; its driver is this bridge."""
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": "shop-id", "epoch": "e1"}
        (self.folder / "drivers" / "shop-id.json").write_text(json.dumps(content))
        exporter = Exporter(self.folder / "drivers", self._log, *self._options, *options, command=COMMAND)
        self.exporters.append(exporter.start())
        eventually(lambda: hears(exporter), "it hears SIGTERM", within=20)
        return exporter

    def told(self) -> list[str]:
        """What was logged that is no news: warnings, errors, tracebacks."""
        return [line for line in self._log.read_text().splitlines() if " level=info " not in line]


def hears(exporter: Exporter) -> bool:
    """Whether the process has a handler for SIGTERM by now."""
    assert exporter.child
    assert exporter.child.running, exporter.child.log.read_text()
    found = re.search(r"^SigCgt:\t(\w+)$", Path(f"/proc/{exporter.child.process.pid}/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (signal.SIGTERM - 1) & 1)


def end(exporter: Exporter, number: signal.Signals = signal.SIGTERM) -> int:
    """The exit code after this signal, within the time that a container is given."""
    assert exporter.child
    exporter.child.signal(number)
    return exporter.child.exit_code(within=GRACE_SECONDS)


def looks() -> tuple[Answer, Answer]:
    """A driver's first answer, which makes a page of a megabyte, and all its others."""
    queries = [f"{number:04}-{'x' * 150}" for number in range(QUERIES)]
    events = [
        event
        for number, query in enumerate(queries)
        for event in (started(2 * number + 1, query, f"r{number}"), progress(2 * number + 2, 0, 10, query, f"r{number}"))
    ]
    now = int(time.time() * 1000)
    return says(answer(events, started_ms=now)), says(answer(last_seq=2 * QUERIES, started_ms=now))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def life(request: pytest.FixtureRequest, tmp_path: Path, logs: Path, authority: Authority) -> Iterator[Life]:
    """A life without TLS, or with it where the test's parameter says so."""
    one = Life(tmp_path, logs / f"{request.node.name}.log", authority, tls=getattr(request, "param", False))
    yield one
    for exporter in one.exporters:
        exporter.kill()


def page_bytes(exporter: Exporter, client: ssl.SSLContext | None) -> int:
    """How long a page is that is whole; 0 where none is."""
    try:
        with connected(exporter.port, client) as peer:
            head, missing = asked(peer, REQUEST % b"identity")
    except OSError:
        return 0
    length = re.search(rb"Content-Length: (\d+)\r\n", head)
    return int(length[1]) if length and not missing else 0


@pytest.mark.parametrize("life", [False, True], ids=["http", "tls"], indirect=True)
def test_ended_at_any_moment(life: Life) -> None:
    """SIGTERM at any moment, from the start's first to a large page's last: exit 0, and no client is left with half an answer or none."""
    drawn = random.Random(SEED)
    outcomes: Counter[Outcome] = Counter()
    faults = []
    for number in range(MOMENTS // 2):
        moment = drawn.uniform(0, LATEST_SECONDS)
        with Bridge(*looks()) as bridge:
            exporter = life.begun(bridge)
            with Scrapers(exporter.port, life.client, number) as scrapers:
                let_run(moment)
                code = end(exporter)
        outcomes += scrapers.outcomes
        broken = {outcome.name: count for outcome, count in scrapers.outcomes.items() if outcome in BROKEN}
        if code or broken:
            faults.append((moment, code, broken))

    assert (faults, life.told()) == ([], [])
    assert outcomes[Outcome.WHOLE] > MOMENTS


@pytest.mark.parametrize("life", [False, True], ids=["http", "tls"], indirect=True)
def test_large_page(life: Life) -> None:
    """What is scraped here is a page of a megabyte, without TLS and with it."""
    with Bridge(*looks()) as bridge:
        exporter = life.begun(bridge)

        eventually(lambda: page_bytes(exporter, life.client) > PAGE_BYTES, "a large page", within=20)
        assert end(exporter, signal.SIGINT) == 0


def test_told_again_and_again(life: Life) -> None:
    """SIGTERM after SIGTERM, until nobody is there to hear it: an hour's linger is over at once, and the exit code is 0."""
    codes = []
    for _ in range(MOMENTS // 4):
        with Bridge(says(answer())) as bridge:
            exporter = life.begun(bridge, "--shutdown.linger=1h")
            assert exporter.child
            eventually(exporter.page, "a page", within=20)
            over = time.monotonic() + GRACE_SECONDS
            while exporter.child.running and time.monotonic() < over:
                exporter.child.signal(signal.SIGTERM)
                let_run(0.001)
            codes.append(exporter.child.exit_code(within=0))

    assert (codes, life.told()) == (MOMENTS // 4 * [0], [])


def test_ended_while_a_driver_hangs(life: Life) -> None:
    """A driver that holds its answer does not hold the exporter: SIGTERM ends it in time, exit 0."""
    asked_for, free = threading.Event(), threading.Event()

    def hang(connection: socket.socket, call: list[str]) -> None:
        asked_for.set()
        free.wait(60)

    with Bridge(hang) as bridge:
        try:
            exporter = life.begun(bridge)
            assert asked_for.wait(20)
            code = end(exporter)
        finally:
            free.set()

    assert code == 0
    assert [line for line in life.told() if " reason=timeout " not in line] == []


@pytest.mark.parametrize("life", [True], ids=["tls"], indirect=True)
@pytest.mark.parametrize("at_once", [False, True], ids=["files", "links"])
def test_certificate_swapped(life: Life, at_once: bool, authority: Authority) -> None:  # noqa: FBT001 -- a parameter of pytest's
    """Certificates that are swapped while clients scrape cost none of them an answer, and the last one written is the one shown."""
    with Bridge(says(answer())) as bridge:
        exporter = life.begun(bridge)
        client = life.client
        assert client
        eventually(lambda: shown(exporter, client), "it serves", within=20)
        drawn = random.Random(SEED)
        with Scrapers(exporter.port, client, SEED, most=1) as scrapers:
            for _ in range(MOMENTS // 2):
                if at_once:
                    last = authority.swap_at_once(life.folder)
                else:
                    last = authority.swap(life.folder, lambda: let_run(drawn.uniform(0, 0.4)))
                let_run(drawn.uniform(0, 0.2))
            eventually(lambda: shown(exporter, client) == last, "the last is shown", within=10)
        code = end(exporter)

    assert (code, life.told()) == (0, [])
    assert scrapers.outcomes.keys() == {Outcome.WHOLE}
    assert scrapers.outcomes[Outcome.WHOLE] > MOMENTS


def shown(exporter: Exporter, client: ssl.SSLContext) -> bytes | None:
    """The certificate that a new connection is shown; None where there is none to be had."""
    try:
        with connected(exporter.port, client) as peer:
            assert isinstance(peer, ssl.SSLSocket)
            return peer.getpeercert(binary_form=True)
    except OSError:
        return None
