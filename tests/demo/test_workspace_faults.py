"""exporter/demo/workspace/faults.py, tokens.py, server.py: each fault does what it says, and nothing else does it."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from exporter.demo.workspace.faults import Fault, Kind
from exporter.demo.workspace.server import simulated
from exporter.demo.workspace.tokens import EXCHANGE, Credentials
from exporter.demo.workspace.workspace import Workspace
from exporter.demo.workspace.world.sizes import Sizes
from tests.demo.workspace_client import (
    BEARER,
    EVENTS,
    JOB,
    JOBS,
    ME,
    PIPELINES,
    RUN,
    RUNS,
    SMALL,
    asked,
    by,
    listed,
    posted,
    told,
    unpacked,
    workspace,
)

TINY = Sizes(3, 60, 1, 0, 0, 0, 5, 1, 1, 1, 1, 1.0)
TOKEN = "/oidc/v1/token"


@pytest.fixture(scope="module")
def one() -> Workspace:
    """A small workspace that no test moves."""
    return workspace(1)


@pytest.fixture
def served() -> Iterator[Workspace]:
    with simulated(1, TINY) as one:
        yield one


def connected(one: Workspace) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(one.url).netloc, timeout=20)


def got(one: Workspace, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """An answer over a real connection."""
    with closing(connected(one)) as connection:
        connection.request("GET", path, headers={**BEARER, **headers})
        response = connection.getresponse()
        return response, response.read()


def test_strings(one: Workspace) -> None:
    """Every int64 is a string of its digits; what is small by its meaning stays a number."""
    plain = told(one, RUNS, limit=3)["runs"]
    with by(one, Fault(Kind.STRINGS)):
        odd = told(one, RUNS, limit=3)["runs"]

    for before, after in zip(plain, odd, strict=True):
        changed = {name for name in before if before[name] != after[name]}
        assert {"run_id", "job_id", "start_time", "setup_duration", "number_in_job"} <= changed
        assert all(after[name] == str(before[name]) for name in changed)
        assert after["attempt_number"] == before["attempt_number"]


def test_unknown_values(one: Workspace) -> None:
    """Every third run has a state and a trigger that nobody knows; ids and times are as they were."""
    plain = told(one, RUNS, limit=7)["runs"]
    with by(one, Fault(Kind.UNKNOWN_VALUES)):
        odd = told(one, RUNS, limit=7)["runs"]

    assert [run["status"]["state"] == run["trigger"] == "BRAND_NEW" for run in odd] == [True, False, False] * 2 + [True]
    assert [(run["run_id"], run["start_time"]) for run in odd] == [(run["run_id"], run["start_time"]) for run in plain]
    assert odd[1:3] == plain[1:3]


def test_unknown_fields(one: Workspace) -> None:
    """Each object has a field more, and keeps all others."""
    plain = told(one, JOBS)
    with by(one, Fault(Kind.UNKNOWN_FIELDS)):
        odd = told(one, JOBS)

    assert odd.pop("brand_new_field") == {"a": [1, None, "x"]}
    assert odd["jobs"][0]["settings"].pop("brand_new_field") == {"a": [1, None, "x"]}
    assert odd["jobs"][0]["settings"].keys() == plain["jobs"][0]["settings"].keys()


def test_missing_arrays(one: Workspace) -> None:
    """An empty list is left out."""
    query = {"filter": "name LIKE 'nobody'"}
    assert told(one, PIPELINES, **query) == {"statuses": []}
    with by(one, Fault(Kind.MISSING_ARRAYS)):
        assert told(one, PIPELINES, **query) == {}


def test_broken_items(one: Workspace) -> None:
    """Broken items stand amidst the good ones, none of which is missing."""
    plain = told(one, RUNS, limit=6)["runs"]
    with by(one, Fault(Kind.BROKEN_ITEMS)):
        odd = told(one, RUNS, limit=6)["runs"]

    assert odd[:3] == plain[:3]
    assert odd[3:8] == [None, "oops", 7, [], {}]
    assert set(odd[8]) == set(plain[0])
    assert all(value == ["not", "a", "scalar"] for value in odd[8].values())
    assert odd[9:] == plain[3:]


def test_forbidden(one: Workspace) -> None:
    """A forbidden object is listed, but may not be asked for: by query, by path, or by body."""
    job = told(one, JOBS)["jobs"][0]["job_id"]
    pipeline, cluster = next(iter(one.world.pipelines)), one.world.shared[0]
    with by(one, *(Fault(Kind.FORBIDDEN, str(hidden)) for hidden in (job, pipeline, cluster))):
        assert asked(one, JOB, job_id=job) == (
            403,
            {"error_code": "PERMISSION_DENIED", "message": f"The caller may not view {job}."},
        )
        assert asked(one, f"{PIPELINES}/{pipeline}/events")[0] == 403
        assert posted(one, EVENTS, {"cluster_id": cluster})[0] == 403
        assert job in {found["job_id"] for found in listed(one, JOBS, "jobs")}
        assert asked(one, JOB, job_id=listed(one, JOBS, "jobs")[1]["job_id"])[0] == 200


def test_unseen(one: Workspace) -> None:
    """What may not be seen is silently missing from lists, a job's runs too, and forbidden."""
    job = told(one, RUNS)["runs"][0]["job_id"]
    with by(one, Fault(Kind.UNSEEN, str(job))):
        assert asked(one, JOB, job_id=job)[0] == 403
        assert job not in {found["job_id"] for found in listed(one, JOBS, "jobs")}
        assert job not in {found["job_id"] for found in listed(one, RUNS, "runs")}


@pytest.mark.parametrize("after", ["", "7", formatdate(1_767_571_260, usegmt=True)])
def test_throttled(one: Workspace, after: str) -> None:
    """A throttled request is told when to come again by seconds, by a date, or not at all."""
    with by(one, Fault(Kind.THROTTLED, after)):
        reply = one.reply("GET", RUNS, BEARER, b"")

    assert (reply.status, json.loads(reply.body)["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert reply.headers.get("Retry-After", "") == after


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_status(one: Workspace, status: int) -> None:
    """The service fails with the status in question."""
    with by(one, Fault(Kind.STATUS, str(status))):
        assert asked(one, RUNS)[0] == status


def test_some_requests(one: Workspace) -> None:
    """A fault may be for some paths, and for some requests, alone; two may come together."""
    with by(one, Fault(Kind.STATUS, "500", only=(RUNS,), times=2), Fault(Kind.STRINGS)):
        seen = [asked(one, path)[0] for path in (JOBS, RUNS, JOBS, RUNS, RUNS, JOBS)]
        first = told(one, RUNS)["runs"][0]

    assert seen == [200, 500, 200, 500, 200, 200]
    assert isinstance(first["run_id"], str)


def test_login_page(one: Workspace) -> None:
    """The page that asks for a login is HTML, with the status of a good answer."""
    with by(one, Fault(Kind.LOGIN_PAGE)):
        reply = one.reply("GET", RUNS, BEARER, b"")

    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.body.startswith(b"<!doctype html>")


def test_truncated(one: Workspace) -> None:
    """Half of the answer comes, and its length says nothing of it."""
    whole = one.reply("GET", JOBS, BEARER, b"").body
    with by(one, Fault(Kind.TRUNCATED)):
        half = one.reply("GET", JOBS, BEARER, b"").body

    assert half == whole[: len(whole) // 2]


def test_bomb(one: Workspace) -> None:
    """A small body unpacks to as many MiB as are ordered, and is good JSON but for that."""
    with by(one, Fault(Kind.BOMB, "20")):
        reply = one.reply("GET", RUNS, BEARER, b"")

    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(reply.body) < 1 << 20 < (20 << 20) < len(unpacked(reply.body, 1 << 30))
    assert json.loads(unpacked(reply.body, 1 << 30)) == {"runs": []}


def test_gzip(served: Workspace) -> None:
    """Who can unpack gets gzip, who can't gets plain text; both the same."""
    packed, body = got(served, JOBS, **{"Accept-Encoding": "gzip, deflate"})
    plain, text = got(served, JOBS)

    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Content-Encoding"] is None
    assert unpacked(body, 1 << 30) == text


def test_kept_alive(served: Workspace) -> None:
    """Many requests go over one connection, and are told in order; a credential is not among what is kept of them."""
    with closing(connected(served)) as connection:
        for path in (JOBS, ME, JOBS):
            connection.request("GET", path, headers=BEARER)
            assert connection.getresponse().read()
        (port,) = {connection.sock.getsockname()[1]}

    assert port
    assert [(request.method, request.target) for request in served.requests] == [("GET", JOBS), ("GET", ME), ("GET", JOBS)]
    assert "dapi" not in repr(served.requests)


def test_silent(served: Workspace) -> None:
    """Not even headers come; another request, on another path, is answered meanwhile, and the end of the workspace ends it."""
    served.faults(Fault(Kind.SILENT, only=(TOKEN,)))
    with closing(connected(served)) as connection:
        connection.timeout = 0.3
        connection.request("POST", TOKEN, body="grant_type=client_credentials")
        with pytest.raises(TimeoutError):
            connection.getresponse()
        assert got(served, JOBS)[0].status == 200


def test_drip(served: Workspace) -> None:
    """The body comes byte by byte, whole in the end."""
    whole = got(served, ME)[1]
    served.faults(Fault(Kind.DRIP, "0.001"))
    address = urlsplit(served.url)
    with closing(socket.create_connection((str(address.hostname), int(address.port or 0)), 20)) as peer:
        peer.sendall(f"GET {ME} HTTP/1.1\r\nAuthorization: Bearer dapi-simulated\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while part := peer.recv(65536):
            parts.append(part)

    assert b"".join(parts).endswith(b"\r\n\r\n" + whole)
    assert len(parts) > 20


def test_reset(served: Workspace) -> None:
    """The connection is reset, not merely closed."""
    served.faults(Fault(Kind.RESET))

    with pytest.raises(ConnectionResetError) as reset:
        got(served, ME)
    assert reset.type is ConnectionResetError


def test_ends() -> None:
    """When the block ends, no thread of the server is left, though clients keep their connections and one waits in vain."""
    before = set(threading.enumerate())
    with ExitStack() as clients:
        with simulated(1, TINY) as inner:
            idle, waiting = (clients.enter_context(closing(connected(inner))) for _ in range(2))
            idle.request("GET", ME, headers=BEARER)
            idle.getresponse().read()
            inner.faults(Fault(Kind.SILENT))
            waiting.request("GET", ME, headers=BEARER)

        assert set(threading.enumerate()) <= before


def test_client_gone(served: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    """A client that goes away in the middle of an answer is no news."""
    served.faults(Fault(Kind.DRIP, "0.001"))
    connection = connected(served)
    connection.request("GET", JOBS, headers=BEARER)
    connection.getresponse().read(5)
    sock = connection.sock
    if sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    served.faults()

    assert got(served, ME)[0].status == 200
    assert capfd.readouterr().err == ""


def test_unauthorized(one: Workspace) -> None:
    """Without the right token nothing is told but the errors, SCIM's in its own shape; with a token rotated, the old one is 401."""
    for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic dapi-simulated"}):
        assert one.reply("GET", RUNS, header, b"").status == 401
    scim = json.loads(one.reply("GET", ME, {}, b"").body)
    one.accept(Credentials(token="rotated"))
    old, new = (
        one.reply("GET", RUNS, {"authorization": f"Bearer {token}"}, b"").status for token in ("dapi-simulated", "rotated")
    )
    one.accept(Credentials())

    assert scim["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert scim["status"] == "401"
    assert (old, new) == (401, 200)


def granted(one: Workspace, form: dict[str, str], headers: dict[str, str] | None = None) -> tuple[int, Any]:
    reply = one.reply("POST", TOKEN, headers or {}, urlencode(form).encode())
    return reply.status, json.loads(reply.body)


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({"grant_type": "client_credentials"}, {"authorization": "Basic ZXhwb3J0ZXI6c2ltdWxhdGVkLXNlY3JldA=="}),
        ({"grant_type": "client_credentials", "client_id": "exporter", "client_secret": "simulated-secret"}, {}),
        ({"grant_type": EXCHANGE, "subject_token": "subject-token"}, {}),
    ],
)
def test_token(form: dict[str, str], headers: dict[str, str]) -> None:
    """A client's secret, or a subject token, gets a token that is good for an hour of the workspace's time."""
    one = workspace(0, TINY)
    status, answer = granted(one, form, headers)
    bearer = {"authorization": f"Bearer {answer['access_token']}"}

    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", 3600)
    assert [(request.target, request.body) for request in one.requests] == [(TOKEN, b"")]
    one.advance(3599)
    assert one.reply("GET", ME, bearer, b"").status == 200
    one.advance(1)
    assert one.reply("GET", ME, bearer, b"").status == 401


@pytest.mark.parametrize(
    ("form", "headers", "expected"),
    [
        ({"grant_type": "client_credentials"}, {}, (401, "invalid_client")),
        ({"grant_type": "client_credentials"}, {"authorization": "Basic !"}, (401, "invalid_client")),
        ({"grant_type": EXCHANGE, "subject_token": "mine"}, {}, (400, "invalid_grant")),
        ({}, {}, (400, "unsupported_grant_type")),
    ],
)
def test_no_token(one: Workspace, form: dict[str, str], headers: dict[str, str], expected: tuple[int, str]) -> None:
    """What is wrong gets no token but an OAuth error."""
    status, answer = granted(one, form, headers)

    assert (status, answer["error"]) == expected


def test_discovery(served: Workspace) -> None:
    """Without a token the host tells where tokens are given, and which workspace it is."""
    with closing(connected(served)) as connection:
        connection.request("GET", "/.well-known/databricks-config")
        config = json.loads(connection.getresponse().read())
        connection.request("GET", f"{urlsplit(config['oidc_endpoint']).path}/.well-known/oauth-authorization-server")
        server = json.loads(connection.getresponse().read())

    assert config["workspace_id"] == "7405607613001234"
    assert server["token_endpoint"] == f"{served.url}/oidc/v1/token"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_bad_body(one: Workspace, body: bytes) -> None:
    """A body that is no JSON object is refused."""
    reply = one.reply("POST", EVENTS, BEARER, body)

    assert (reply.status, json.loads(reply.body)["error_code"]) == (400, "MALFORMED_REQUEST")


def test_writes_are_seen(served: Workspace) -> None:
    """Whoever tries to change something is told that there is no such thing, and stands among the requests."""
    with closing(connected(served)) as connection:
        connection.request("DELETE", JOB, headers=BEARER)
        assert connection.getresponse().status == 404

    assert [request.method for request in served.requests] == ["DELETE"]


def test_speed(tmp_path: Path) -> None:
    """Time passes as many times faster than the clock as was asked, and the file has all that fell into it."""
    clock = iter([100.0, 101.0, 103.0, 103.0])
    file = tmp_path / "ledger.jsonl"
    with simulated(1, SMALL, begin=2_000_000_000.0, speed=600.0, ledger=file, clock=lambda: next(clock)) as one:
        assert one.now() == 2_000_000_600.0
        assert one.now() == 2_000_001_800.0
        status, body = got(one, f"{RUN}?run_id=7")
        assert json.loads(body)["message"] == "Run 7 does not exist."
        assert status.headers["Date"] == formatdate(2_000_001_800, usegmt=True)
        assert len(file.read_text().splitlines()) == len(one.ledger.entries) > 0
