"""The bridge of a real driver: who knows its token may read events, and may do nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import py4j.protocol
import pytest
from py4j.java_gateway import GatewayParameters, JavaGateway, java_import

from tests.e2e.processes import free_port
from tests.e2e.spark import APPS, Line
from tests.e2e.stage import Stage
from tests.e2e.waiting import eventually

ALLOWED = ["c", "t", "poll", "s", "i0", "i0", "e"]
REFUSED = "!xsrefused"

# Each as py4j's clients write it: the command, its parts, the end mark.
COMMANDS: dict[str, Sequence[str]] = {
    "call of a static method": ["c", "z:java.lang.System", "getProperty", "suser.home", "e"],
    "call of an object's method": ["c", "o0", "toString", "e"],
    "call of another method of the entry point": ["c", "t", "getClass", "e"],
    "call of the gateway server": ["c", "GATEWAY_SERVER", "shutdown", "e"],
    "call of the default view": ["c", "rj", "toString", "e"],
    "poll with a reference": ["c", "t", "poll", "s", "rt", "i0", "e"],
    "poll with a Python proxy": ["c", "t", "poll", "s", "i0", "fp0;java.lang.Runnable", "e"],
    "poll with another number of arguments": ["c", "t", "poll", "e"],
    "constructor": ["i", "java.util.ArrayList", "e"],
    "constructor with arguments": ["i", "java.io.File", "s/tmp/made", "e"],
    "static field": ["f", "g", "z:java.io.File", "separator", "e"],
    "field": ["f", "g", "t", "poll", "e"],
    "field set": ["f", "s", "t", "poll", "i0", "e"],
    "help of an object": ["h", "o", "t", "n", "n", "e"],
    "help of a class": ["h", "c", "java.lang.String", "n", "n", "e"],
    "list sort": ["l", "s", "o0", "e"],
    "list slice": ["l", "l", "o0", "i0", "e"],
    "list concat": ["l", "a", "o0", "o1", "e"],
    "memory delete": ["m", "d", "t", "e"],
    "memory attach": ["m", "a", "t", "e"],
    "reflection of a name": ["r", "u", "java", "rj", "e"],
    "reflection of a member": ["r", "m", "java.lang.System", "exit", "e"],
    "reflection of a class": ["r", "c", "java.lang.Runtime", "e"],
    "array made": ["a", "c", "sjava.lang.String", "i3", "e"],
    "array got": ["a", "g", "o0", "i0", "e"],
    "array set": ["a", "s", "o0", "i0", "i1", "e"],
    "array length": ["a", "e", "o0", "e"],
    "array slice": ["a", "l", "o0", "i0", "e"],
    "view made": ["j", "c", "sview", "e"],
    "view import": ["j", "i", "rj", "sjava.util.*", "e"],
    "view import removed": ["j", "r", "rj", "sjava.util.*", "e"],
    "view searched": ["j", "s", "rj", "sArrayList", "e"],
    "exception": ["p", "o0", "e"],
    "dir of fields": ["d", "f", "t", "n", "e"],
    "dir of methods": ["d", "m", "t", "n", "e"],
    "dir of statics": ["d", "s", "java.lang.System", "n", "e"],
    "dir of a view": ["d", "v", "rj", "n", "e"],
    "stream": ["S", "t", "poll", "s", "i0", "i0", "e"],
    "shutdown of the gateway": ["s", "e"],
    "cancel": ["x", "127.0.0.1", "i0", "i0", "e"],
    "quit": ["q", "e"],
    "the token once more": ["A", "token"],
    "no command": ["e"],
    "an unknown command": ["?", "e"],
}


class Peer:
    """One connection to the bridge that speaks py4j's protocol word by word."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._answers = self._socket.makefile("r", encoding="utf-8", newline="\n")

    def say(self, *parts: str) -> str:
        """Sends a command; its answer, empty where the bridge closed the connection."""
        self._socket.sendall("".join(f"{part}\n" for part in parts).encode())
        return self._answers.readline()

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


@pytest.fixture(scope="module")
def connection(line: Line, shared_stage: Stage) -> dict[str, Any]:
    """The connection file of a driver with one running stream."""
    driver = shared_stage.driver(line)
    driver.start_query("steady", format="rate-micro-batch", options={"rowsPerBatch": 5}, every="300 milliseconds")
    file = eventually(lambda: next(shared_stage.drivers.glob("[!.]*.json"), None), "a connection file is there", within=60)
    told: dict[str, Any] = json.loads(file.read_text())
    return told


@pytest.fixture
def peer(connection: dict[str, Any]) -> Iterator[Peer]:
    """A reader that has shown the token."""
    with contextlib.closing(Peer(connection["port"])) as admitted:
        assert admitted.say("A", connection["token"]) == "!yv\n"
        yield admitted


@pytest.fixture
def gateway(connection: dict[str, Any]) -> Iterator[JavaGateway]:
    """The bridge by py4j's own client, with the right token."""
    parameters = GatewayParameters(
        address="127.0.0.1", port=connection["port"], auth_token=connection["token"], read_timeout=10
    )
    opened = JavaGateway(gateway_parameters=parameters)
    yield opened
    opened.close()


def answers(peer: Peer) -> bool:
    return peer.say(*ALLOWED).startswith('!ys{"version":1,')


@pytest.mark.parametrize("name", COMMANDS)
def test_every_other_command_is_refused_and_the_connection_goes_on(peer: Peer, name: str) -> None:
    assert peer.say(*COMMANDS[name]).startswith(REFUSED)
    assert answers(peer)


def test_the_walk_leaves_no_command_of_py4js_out() -> None:
    known = {
        value.strip()
        for name, value in vars(py4j.protocol).items()
        if name.endswith("_COMMAND_NAME") and "SUB_COMMAND" not in name and "SUBCOMMAND" not in name and "PROXY" not in name
    }

    assert {parts[0] for parts in COMMANDS.values()} >= known


ATTEMPTS: dict[str, Callable[[JavaGateway], object]] = {
    "System.getProperty": lambda gateway: gateway.jvm.java.lang.System.getProperty("user.home"),
    "a new object": lambda gateway: gateway.jvm.java.util.ArrayList(),
    "a static field": lambda gateway: gateway.jvm.java.io.File.separator,
    "a new array": lambda gateway: gateway.new_array(gateway.jvm.int, 3),
    "an import": lambda gateway: java_import(gateway.jvm, "java.util.*"),
    "dir": lambda gateway: dir(gateway.entry_point),
    "help": lambda gateway: gateway.help(gateway.entry_point, display=False),
    "getClass": lambda gateway: gateway.entry_point.getClass(),
    "a new view": lambda gateway: gateway.new_jvm_view("view"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_py4js_own_client_gets_nowhere_and_may_read_on(gateway: JavaGateway, name: str) -> None:
    with pytest.raises(py4j.protocol.Py4JError):
        ATTEMPTS[name](gateway)
    assert json.loads(gateway.entry_point.poll("", 0, 1))["version"] == 1


def test_the_token_runs_no_program(gateway: JavaGateway, tmp_path: Path) -> None:
    with pytest.raises(py4j.protocol.Py4JError):
        gateway.jvm.java.lang.Runtime.getRuntime().exec(f"touch {tmp_path}/made")
    assert not list(tmp_path.iterdir())


def test_a_client_that_shuts_the_gateway_down_shuts_only_itself(gateway: JavaGateway, connection: dict[str, Any]) -> None:
    with contextlib.suppress(py4j.protocol.Py4JError):
        gateway.shutdown()

    with contextlib.closing(Peer(connection["port"])) as other:
        assert other.say("A", connection["token"]) == "!yv\n"
        assert answers(other)


@pytest.mark.parametrize(
    "command",
    [["A", "wrong"], ["A", ""], ["A", "a" * 43], ALLOWED, ["s", "e"], ["i", "java.util.ArrayList", "e"]],
    ids=" ".join,
)
def test_without_the_token_nothing_is_answered(connection: dict[str, Any], command: list[str]) -> None:
    with contextlib.closing(Peer(connection["port"])) as stranger:
        assert stranger.say(*command).startswith("!xsAuthentication error")
        with contextlib.suppress(ConnectionError):
            assert stranger.say(*ALLOWED) == ""


def test_sockets_that_show_no_token_keep_nobody_out(connection: dict[str, Any]) -> None:
    with contextlib.ExitStack() as ends:
        for _ in range(200):
            ends.enter_context(contextlib.closing(Peer(connection["port"])))
        reader = ends.enter_context(contextlib.closing(Peer(connection["port"])))

        assert reader.say("A", connection["token"]) == "!yv\n"
        assert answers(reader)


def test_a_reader_gets_each_event_once_and_disturbs_no_other(gateway: JavaGateway) -> None:
    def poll(epoch: str, after: int, most: int = 1 << 20) -> Any:
        return json.loads(gateway.entry_point.poll(epoch, after, most))

    whole = eventually(lambda: (page := poll("", 0))["lastSeq"] >= 4 and page, "four events are there", within=60)
    seqs = [event["seq"] for event in whole["events"]]
    paged: list[int] = []
    while not paged or paged[-1] < whole["lastSeq"]:
        paged += [event["seq"] for event in poll(whole["epoch"], paged[-1] if paged else 0, 1)["events"]]

    assert seqs == list(range(whole["firstSeq"], whole["lastSeq"] + 1))
    assert paged == seqs
    assert [event["seq"] for event in poll(whole["epoch"], 0)["events"]][: len(seqs)] == seqs
    assert [event["seq"] for event in poll("another epoch", whole["lastSeq"])["events"]][: len(seqs)] == seqs
    assert whole["events"][0]["kind"] == "started"
    assert whole["events"][0]["trigger"] == "ProcessingTimeTrigger(300)"


def test_facts_tell_the_driver(gateway: JavaGateway, line: Line) -> None:
    def facts() -> Any:
        return json.loads(gateway.entry_point.poll("", 0, 1))["facts"]

    told = eventually(lambda: (now := facts())["queries"] and now, "the running query is seen", within=60)

    assert told["capabilities"] == {"own_queue": True, "all_sessions": True, "bus_metrics": True, "status": True}
    assert (told["spark"]["version"], told["spark"]["scala"], told["spark"]["master"]) == (line.version, line.scala, "local[2]")
    assert told["spark"]["shufflePartitions"] == 2
    assert {"shared", "lakehouse"} <= {queue["queue"] for queue in told["bus"]}
    assert [(query["name"], query["trigger"]) for query in told["queries"]] == [("steady", "ProcessingTimeTrigger(300)")]
    assert all(told["jvm"][field] > 0 for field in ("heapUsedBytes", "nonHeapUsedBytes", "threads", "cpuNanos", "processors"))
    assert told["listener"]["cpuNanos"] > 0
    assert (told["listener"]["queueDropped"], told["listener"]["ringDropped"], told["listener"]["failed"]) == (0, 0, 0)


@pytest.mark.parametrize("configured", [True, False], ids=["and by configuration", "alone"])
def test_attached_by_hand_it_finds_what_runs_and_counts_nothing_twice(line: Line, stage: Stage, *, configured: bool) -> None:
    conf = {} if configured else {"spark.extraListeners": ""}
    child = stage.submit(line, APPS / "plain_sessions.py", stage.folder / "checkpoints", conf=conf)

    assert child.exit_code(within=120) == 0
    finals = [json.loads(file.read_text()) for file in sorted(stage.drivers.glob("*.final.json"))]
    assert not list(stage.drivers.glob("[!.]*-[0-9]*[0-9].json"))
    first, *second = finals
    assert len(second) == configured
    events = [(event["kind"], event["event"]) for event in first["events"]]
    names = {event["runId"]: event["name"] for kind, event in events if kind in ("started", "found")}
    kinds = [(kind, names[event["runId"]]) for kind, event in events]
    batches = [(names[event["runId"]], event["batchId"]) for kind, event in events if kind == "progress"]
    assert [event["seq"] for event in first["events"]] == list(range(1, first["lastSeq"] + 1))
    assert sorted(kind for kind in kinds if kind[0] != "progress") == sorted(
        [("started" if configured else "found", "early"), ("started", "late"), ("terminated", "early"), ("terminated", "late")]
    )
    assert len(batches) == len(set(batches))
    assert {("late", 0), ("late", 1), ("late", 2)} <= set(batches)
    assert [event["kind"] for final in second for event in final["events"]][:2] == ["started", "progress"][: 2 * len(second)]
    assert len({final["epoch"] for final in finals}) == len(finals)


def test_a_driver_sweeps_what_killed_drivers_left_and_is_there_all_the_same(line: Line, stage: Stage) -> None:
    """Swept: an old final file, and an old connection file of this host whose port refuses. Nothing else costs or is lost."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as living:
        stage.drivers.mkdir()
        ports = {"killed": free_port(), "living": living.getsockname()[1]}
        for name, port in ports.items():
            (stage.drivers / f"{name}.json").write_text(json.dumps({"port": port, "host": socket.gethostname()}))
        (stage.drivers / "past.final.json").write_text("{}")
        # No file can be deleted by this name: it is a folder that holds something.
        (stage.drivers / "stuck.final.json" / "occupied").mkdir(parents=True)
        two_days_ago = time.time() - 2 * 24 * 3600
        for entry in stage.drivers.iterdir():
            os.utime(entry, (two_days_ago, two_days_ago))
        stage.driver(line)

        def names() -> set[str]:
            return {file.name for file in stage.drivers.glob("[!.]*")}

        eventually(lambda: names().isdisjoint({"killed.json", "past.final.json"}), "the folder is swept", within=90)
        (mine,) = names() - {"living.json", "stuck.final.json"}
        told = json.loads((stage.drivers / mine).read_text())

        assert {"living.json", "stuck.final.json"} < names()
        with contextlib.closing(Peer(told["port"])) as reader:
            assert reader.say("A", told["token"]) == "!yv\n"
            assert answers(reader)
