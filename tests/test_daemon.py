"""exporter/daemon.py: the command as a real process, on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from exporter import daemon
from exporter.cli import main
from exporter.config import Config, load
from exporter.storage import opened
from tests.e2e.waiting import eventually
from tests.sources.answers import answer, progress, started
from tests.sources.bridge import TOKEN, Bridge, says

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_EXPORTER_")}


class Exporter:
    """`lakehouse-exporter serve` as a process; its log is a file."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / "log"
        arguments = ["--web.listen-address=127.0.0.1:0", f"--drivers.dir={folder}/drivers", "--drivers.every=100ms", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "exporter", *arguments], stderr=log, env=ENVIRON)

    def told(self) -> str:
        return self.log.read_text()

    def port(self) -> int:
        """The port that it says it serves on."""

        def port() -> str | None:
            assert self.process.poll() is None, self.told()
            found = re.search(r" address=\S+:(\d+)", self.told())
            return found and found[1]

        return int(eventually(port, "it serves", within=20))

    def asked(self, path: str, method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port()}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def page_with(self, text: str) -> str:
        """The first page that holds `text`."""

        def page() -> str | None:
            shown = self.asked("/metrics")[1]
            return shown if text in shown else None

        return eventually(page, f"the page has {text}", within=10)

    def posted(self, path: str) -> tuple[int, str]:
        return self.asked(path, method="POST")

    def ready(self) -> Exporter:
        eventually(lambda: self.asked("/-/ready")[0] == 200, "it is ready", within=20)
        return self

    def ended(self, within: float = 5.0) -> int:
        return self.process.wait(within)


@pytest.fixture
def exporters() -> Iterator[list[Exporter]]:
    """Those that a test starts; what is left of them is killed."""
    running: list[Exporter] = []
    yield running
    for exporter in running:
        exporter.process.kill()
        exporter.process.wait(10)


def start(exporters: list[Exporter], folder: Path, *options: str) -> Exporter:
    exporters.append(Exporter(folder, *options))
    return exporters[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_end(number: signal.Signals, exporters: list[Exporter], tmp_path: Path) -> None:
    """SIGTERM, and SIGINT, end it within seconds with exit code 0; its log is logfmt lines and no traceback."""
    exporter = start(exporters, tmp_path).ready()
    exporter.process.send_signal(number)

    assert exporter.ended() == 0
    assert re.sub(r"timestamp=\S+ ", "", re.sub(r":\d+ ", ":N ", exporter.told())) == (
        f"level=info event=serving address=127.0.0.1:N drivers={tmp_path}/drivers\nlevel=info event=ended\n"
    )


def test_end_under_load(exporters: list[Exporter], tmp_path: Path) -> None:
    """SIGTERM while clients scrape as fast as they can cuts no page: each is whole, or its connection was never taken."""
    cut: list[str] = []
    exporter = start(exporters, tmp_path).ready()
    port, scraped = exporter.port(), threading.Event()

    def scrape() -> None:
        while True:
            answer = b""
            try:
                with socket.create_connection(("127.0.0.1", port), 10) as peer:
                    peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    while part := peer.recv(4096):
                        answer += part
            except ConnectionError as error:
                if answer:
                    cut.append(f"{error}: {answer[-100:]!r}")
                return
            head, _, body = answer.partition(b"\r\n\r\n")
            if f"Content-Length: {len(body)}\r\n".encode() not in head + b"\r\n":
                cut.append(repr(answer[-100:]))
            scraped.set()

    clients = [threading.Thread(target=scrape) for _ in range(8)]
    for client in clients:
        client.start()
    assert scraped.wait(10)
    exporter.process.terminate()
    for client in clients:
        client.join(20)

    assert exporter.ended(10) == 0
    assert cut == []


def test_linger(exporters: list[Exporter], tmp_path: Path) -> None:
    """With --shutdown.linger it serves on after SIGTERM, and a second SIGTERM ends that at once."""
    exporter = start(exporters, tmp_path, "--shutdown.linger=1h").ready()
    exporter.process.terminate()
    eventually(lambda: "event=lingering" in exporter.told(), "it lingers", within=10)
    lingering = exporter.asked("/metrics")[0]
    exporter.process.terminate()

    assert lingering == 200
    assert exporter.ended() == 0


def test_linger_is_over(exporters: list[Exporter], tmp_path: Path) -> None:
    """When the time of --shutdown.linger is over it ends by itself."""
    exporter = start(exporters, tmp_path, "--shutdown.linger=100ms").ready()
    exporter.process.terminate()

    assert exporter.ended() == 0


def test_port_taken(exporters: list[Exporter], tmp_path: Path) -> None:
    """A port that is taken is exit code 1 and one line that names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        exporter = start(exporters, tmp_path, f"--web.listen-address={address}")

        assert exporter.ended(20) == 1
    assert exporter.told() == f"lakehouse-exporter: can't listen on {address}: Address already in use\n"


def test_storage_locked(exporters: list[Exporter], tmp_path: Path) -> None:
    """A storage that another exporter holds is exit code 1 and one line; after its kill -9 there is room."""
    storage = tmp_path / "state"
    (tmp_path / "b").mkdir()
    first = start(exporters, tmp_path, f"--storage.path={storage}").ready()
    second = start(exporters, tmp_path / "b", f"--storage.path={storage}")

    assert second.ended(20) == 1
    assert second.told() == f"lakehouse-exporter: {storage}: another exporter holds it\n"
    first.process.kill()
    first.process.wait(10)
    start(exporters, tmp_path / "b", f"--storage.path={storage}").ready()


def test_unusable_state(exporters: list[Exporter], tmp_path: Path) -> None:
    """A stored state that can't be used is set aside, and the exporter serves."""
    with opened(tmp_path / "state") as storage:
        storage.save(b"no state")
    exporter = start(exporters, tmp_path, f"--storage.path={tmp_path}/state")
    exporter.ready()

    assert (tmp_path / "state" / "streams.unusable").read_bytes() == b"no state"


def test_bad_config(exporters: list[Exporter], tmp_path: Path) -> None:
    """Settings that can't be used are exit code 2 and a line for every problem, nothing else."""
    file = tmp_path / "config.yaml"
    file.write_text("web: {listen_address: x}\nlog: {level: loud}\n")
    exporter = Exporter(tmp_path, f"--config.file={file}", "--drivers.every=never")

    assert exporter.ended(20) == 2
    assert exporter.told() == (
        "--drivers.every: 'never' is no duration; write 90s, 10m or 1h30m\n"
        f"{file}: log.level: 'loud' is none of debug, info, warning, error\n"
    )


def test_bad_web_config(exporters: list[Exporter], tmp_path: Path) -> None:
    """A web configuration that can't be used is exit code 2 and a line for every problem."""
    file = tmp_path / "web.yml"
    file.write_text("basic_auth_users: {a: b}\nx: 1\n")
    exporter = start(exporters, tmp_path, f"--web.config.file={file}")

    assert exporter.ended(20) == 2
    assert exporter.told() == f"{file}: unknown key 'x'\n{file}: basic_auth_users.a: not a bcrypt hash\n"


def test_paths(exporters: list[Exporter], tmp_path: Path) -> None:
    """The page is where --web.telemetry-path says, on every address; at / it takes the place of the landing page."""
    (tmp_path / "other").mkdir()
    moved = start(exporters, tmp_path, "--web.telemetry-path=/m", "--web.listen-address=127.0.0.1:0").ready()
    root = start(exporters, tmp_path / "other", "--web.telemetry-path=/").ready()

    assert [moved.asked(path)[0] for path in ("/m", "/metrics", "/")] == [200, 404, 200]
    assert len(re.findall(r" address=\S+:(\d+)", moved.told())) == 2
    assert root.asked("/")[1].startswith("# HELP ")
    assert root.asked("/-/healthy") == (200, "healthy\n")


def test_whole(exporters: list[Exporter], tmp_path: Path) -> None:
    """A driver in the folder is on the page; after kill -9 and a start on the same storage its counts go on; no token is told."""
    one = answer([started(1), *(progress(seq, seq - 2) for seq in range(2, 5))], started_ms=4_000_000_000_000)
    two = answer([started(1), *(progress(seq, seq - 2) for seq in range(2, 9))], started_ms=4_000_000_000_000)
    rows = 'spark_streaming_input_rows_total{app="shop",query="orders",source="0"} '
    (tmp_path / "drivers").mkdir()
    with Bridge(says(one)) as bridge:
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": "shop-id", "epoch": "e1"}
        (tmp_path / "drivers" / "shop-id.json").write_text(json.dumps(content))
        first = start(exporters, tmp_path, f"--storage.path={tmp_path}/state", "--log.level=debug").ready()
        eventually(lambda: f"{rows}30\n" in first.asked("/metrics")[1], "three batches", within=10)
        log = first.told()
        first.process.kill()
        first.process.wait(10)
        bridge._answers[:] = [says(two)]
        again = start(exporters, tmp_path, f"--storage.path={tmp_path}/state", "--log.level=debug").ready()
        page = again.asked("/metrics")[1]

    assert f"{rows}70\n" in page
    assert TOKEN not in log + again.told() + page


GOOD = "lakehouse_exporter_config_last_reload_successful 1\n"
BAD = "lakehouse_exporter_config_last_reload_successful 0\n"
EXPECTED = 'spark_streaming_query_expected{app="shop",query="orders"} 1\n'


def test_hang_up(exporters: list[Exporter], tmp_path: Path) -> None:
    """SIGHUP reads the settings anew; a broken file is told in log and metric and changes nothing, a mended one holds."""
    file = tmp_path / "settings.yaml"
    file.write_text("expected: []\n")
    exporter = start(exporters, tmp_path, f"--config.file={file}").ready()
    before = exporter.asked("/metrics")[1]
    file.write_text("expected: [{app: shop, query: orders}]\n")
    exporter.process.send_signal(signal.SIGHUP)
    exporter.page_with(EXPECTED)
    file.write_text("expected: [{app: shop}]\n")
    exporter.process.send_signal(signal.SIGHUP)
    broken = exporter.page_with(BAD)
    file.write_text("collector: {expected: false}\nexpected: [{app: shop, query: orders}]\n")
    exporter.process.send_signal(signal.SIGHUP)
    exporter.page_with(GOOD)
    eventually(lambda: EXPECTED not in exporter.asked("/metrics")[1], "the collector is off", within=10)
    exporter.process.terminate()

    assert exporter.ended() == 0
    assert (GOOD in before, EXPECTED in before, EXPECTED in broken) == (True, False, True)
    assert f'problem="{file}: expected[0]: query is missing"' in exporter.told()


def test_hang_up_while_lingering(exporters: list[Exporter], tmp_path: Path) -> None:
    """SIGHUP is no second word that ends."""
    exporter = start(exporters, tmp_path, "--shutdown.linger=1h").ready()
    exporter.process.terminate()
    eventually(lambda: "event=lingering" in exporter.told(), "it lingers", within=10)
    exporter.process.send_signal(signal.SIGHUP)
    eventually(lambda: 'event="settings read anew"' in exporter.told(), "it reads", within=10)
    lingering = exporter.asked("/metrics")[0]
    exporter.process.terminate()

    assert lingering == 200
    assert exporter.ended() == 0


def test_reload_by_request(exporters: list[Exporter], tmp_path: Path) -> None:
    """POST /-/reload, where it is enabled, reads the settings anew and says whether they could be used; GET does nothing."""
    file = tmp_path / "settings.yaml"
    file.write_text("log: {level: info}\n")
    exporter = start(exporters, tmp_path, f"--config.file={file}", "--web.enable-lifecycle").ready()
    good = exporter.posted("/-/reload")
    got = exporter.asked("/-/reload")
    file.write_text("log: {level: loud}\n")
    bad = exporter.posted("/-/reload")

    assert good == (200, "settings read anew\n")
    assert got == (405, "method not allowed\n")
    assert bad == (500, "settings not read anew; the log says why\n")


def test_no_reload_by_request(exporters: list[Exporter], tmp_path: Path) -> None:
    """Where it is not enabled, there is no such path."""
    exporter = start(exporters, tmp_path).ready()

    assert exporter.posted("/-/reload") == (404, "not found\n")


def test_log_level_changes(exporters: list[Exporter], tmp_path: Path) -> None:
    """The log follows the settings that are read anew."""
    file = tmp_path / "settings.yaml"
    file.write_text("log: {format: logfmt}\n")
    exporter = start(exporters, tmp_path, f"--config.file={file}").ready()
    file.write_text("log: {format: json}\n")
    exporter.process.send_signal(signal.SIGHUP)
    eventually(lambda: "settings read anew" in exporter.told(), "it reads", within=10)
    exporter.process.terminate()

    assert exporter.ended() == 0
    assert json.loads(exporter.told().splitlines()[-1])["event"] == "ended"


def test_collector_is_off(exporters: list[Exporter], tmp_path: Path) -> None:
    """A collector that is switched off has no series; the others have theirs."""
    (tmp_path / "drivers").mkdir()
    with Bridge(says(answer([started(1)]))) as bridge:
        content = {"version": 1, "port": bridge.port, "token": TOKEN, "appId": "shop-id", "epoch": "e1"}
        (tmp_path / "drivers" / "shop-id.json").write_text(json.dumps(content))
        exporter = start(exporters, tmp_path, "--no-collector.streaming").ready()
        page = exporter.page_with("spark_driver_reachable")

    assert "spark_streaming_query" not in page


# In this process


def settings(folder: Path, **flags: str) -> Config:
    return load(
        {"web.listen_address": "127.0.0.1:0", "drivers.dir": str(folder / "drivers"), "drivers.every": "50ms", **flags}, {}
    )


def test_serve(tmp_path: Path) -> None:
    """serve() runs until it is told to end, and leaves no thread, no lock and no port behind."""
    before = set(threading.enumerate())
    told: SimpleQueue[int] = SimpleQueue()
    config = settings(tmp_path, **{"storage.path": str(tmp_path / "state")})
    serving = threading.Thread(target=daemon.serve, args=(lambda: config, told))
    serving.start()
    eventually(lambda: any(thread.name == "drivers" for thread in threading.enumerate()), "it follows", within=10)
    told.put(signal.SIGTERM)
    serving.join(10)
    eventually(lambda: set(threading.enumerate()) <= before, "its threads end", within=10)
    with opened(tmp_path / "state"):
        pass


@pytest.mark.parametrize("told_again", [True, False])
def test_serve_lingering(told_again: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a parameter of pytest's
    """Lingering ends when its time is over, or when it is told again; two words at once are two."""
    told: SimpleQueue[int] = SimpleQueue()
    told.put(signal.SIGTERM)
    if told_again:
        told.put(signal.SIGTERM)
    serving = threading.Thread(
        target=daemon.serve, args=(lambda: settings(tmp_path, **{"shutdown.linger": "1h" if told_again else "10ms"}), told)
    )
    serving.start()
    serving.join(10)

    assert not serving.is_alive()


def test_serve_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What keeps serve() from serving is exit code 1 and one line."""
    (tmp_path / "file").touch()
    code = main([f"--storage.path={tmp_path}/file/state"], {"LAKEHOUSE_EXPORTER_WEB_LISTEN_ADDRESS": "127.0.0.1:0"})

    assert (code, capsys.readouterr()) == (1, ("", f"lakehouse-exporter: {tmp_path}/file/state: Not a directory\n"))


def test_storage_is_given_back(tmp_path: Path) -> None:
    """A port that is taken gives the storage back."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = settings(tmp_path, **{"web.listen_address": address, "storage.path": str(tmp_path / "state")})
        with pytest.raises(OSError, match="Address already in use"):
            daemon.serve(lambda: config, SimpleQueue())
    with opened(tmp_path / "state"):
        pass
