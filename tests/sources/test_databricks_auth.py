"""exporter/sources/databricks_auth.py and secret_file.py: files that change, and a token endpoint on a real socket."""

import json
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources import secret_file
from exporter.sources.databricks_auth import ClientSecret, Credentials, Federation, OAuth, TokenFile
from exporter.sources.databricks_endpoints import ENDPOINTS
from exporter.sources.http import Headers, Http
from tests.e2e.waiting import eventually
from tests.sources.http_server import Answer, Asked, Server, hangs_up, says

CANARY = "tOkEn-of-43-characters-that-nobody-may-print"
TOKEN_ENDPOINT = "workspace prod: POST /oidc/v1/token: "


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def bearer(token: str) -> Headers:
    return {"Authorization": Secret(f"Bearer {token}")}


def refused(credentials: Credentials, deadline: float = 2000.0, headers: Headers | None = None) -> tuple[Reason, str]:
    """Why there are no headers; fails where the secret is anywhere in what is raised."""
    with pytest.raises(SourceError) as raised:
        credentials.headers(deadline, headers)
    assert CANARY not in "".join(traceback.format_exception(raised.value))
    return raised.value.reason, str(raised.value).removeprefix(TOKEN_ENDPOINT)


# --- A file of one word ---------------------------------------------------------------------------------------------


def test_token_file(tmp_path: Path) -> None:
    """The token is the file's one word; a file that changes, or is renamed into its place, is read again."""
    file = tmp_path / "token"
    file.write_text(f" {CANARY}\r\n")
    credentials = TokenFile(file)

    assert credentials.headers(0) == bearer(CANARY)
    file.write_text("second")
    assert credentials.headers(0) == bearer("second")
    (tmp_path / "new").write_text("third!")
    (tmp_path / "new").replace(file)
    assert credentials.headers(0) == bearer("third!")


def test_token_file_that_looks_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose stamp stays as it was is read again after a refusal, and not before."""
    file = tmp_path / "token"
    file.write_text("one")
    stamp = secret_file.stamp(file)
    monkeypatch.setattr(secret_file, "_stamp", lambda found: stamp)
    credentials = TokenFile(file)
    credentials.headers(0)
    file.write_text("two")

    assert credentials.headers(0) == bearer("one")
    assert credentials.headers(0, bearer("one")) == bearer("two")
    assert credentials.headers(0, bearer("one")) == bearer("two")
    assert credentials.headers(0, bearer("two")) == bearer("two")


def test_mounted_secret(tmp_path: Path) -> None:
    """A Secret that Kubernetes mounts is swapped by a symbolic link."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "token").symlink_to("..data/token")
    credentials = TokenFile(tmp_path / "token")

    assert credentials.headers(0) == bearer("one")
    (tmp_path / "swap").symlink_to("two")
    os.replace(tmp_path / "swap", tmp_path / "..data")
    assert credentials.headers(0) == bearer("two")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (f"{CANARY}\r\nX: y".encode(), "more than one word of ASCII"),
        (f"{CANARY}\xfc".encode(), "more than one word of ASCII"),
        (f"{CANARY}\0".encode(), "more than one word of ASCII"),
        (CANARY.encode() * 2000, "larger than 65536 bytes"),
    ],
)
def test_bad_file(content: bytes, what: str, tmp_path: Path) -> None:
    """What can't be a token is refused with the file's name, and not shown."""
    file = tmp_path / "token"
    file.write_bytes(content)

    assert refused(TokenFile(file)) == (Reason.UNREADABLE, f"{file}: {what}")


def test_no_file(tmp_path: Path) -> None:
    """A file that is missing, and what is none, are told; a pipe holds nobody up."""
    os.mkfifo(tmp_path / "pipe")

    assert refused(TokenFile(tmp_path / "none")) == (Reason.UNREADABLE, f"{tmp_path / 'none'}: No such file or directory")
    assert refused(TokenFile(tmp_path)) == (Reason.UNREADABLE, f"{tmp_path}: Is a directory")
    assert refused(TokenFile(tmp_path / "pipe")) == (Reason.UNREADABLE, f"{tmp_path / 'pipe'}: not a regular file")


# --- OAuth ----------------------------------------------------------------------------------------------------------


def grants(token: str, life: object = 3600) -> Answer:
    return says({"access_token": token, "token_type": "Bearer", "expires_in": life})


def held(let: threading.Event, answer: Answer) -> Answer:
    """The same answer, once it is let."""

    def wait(connection: socket.socket, asked: Asked) -> None:
        let.wait(10)
        answer(connection, asked)

    return wait


@contextmanager
def signing_in(
    folder: Path, *answers: Answer, federated: bool = False, client_id: str | None = "an-id"
) -> Iterator[tuple[OAuth, Time, Server]]:
    """Credentials of a service principal whose secret is the canary."""
    file = folder / "secret"
    file.write_text(CANARY)
    passing = Time()
    with Server(*answers) as server:
        http = Http("workspace prod", server.url, ENDPOINTS, monotonic=passing)
        grant = Federation(file, client_id) if federated else ClientSecret("an-id", file)
        try:
            yield OAuth(http, grant, passing), passing, server
        finally:
            http.close()


def test_client_secret(tmp_path: Path) -> None:
    """A service principal's id and secret become a token, which is kept."""
    with signing_in(tmp_path, grants("t1")) as (credentials, _, server):
        assert credentials.headers(2000) == bearer("t1")
        assert credentials.headers(2000) == bearer("t1")

        (asked,) = server.asked
        assert (asked.method, asked.target) == ("POST", "/oidc/v1/token")
        assert asked.headers["authorization"] == "Basic YW4taWQ6dE9rRW4tb2YtNDMtY2hhcmFjdGVycy10aGF0LW5vYm9keS1tYXktcHJpbnQ="
        assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
        assert parse_qs(asked.body) == {"scope": ["all-apis"], "grant_type": ["client_credentials"]}


def test_federation(tmp_path: Path) -> None:
    """A projected token is exchanged, as it stands in its file at that moment."""
    with signing_in(tmp_path, grants("t1"), grants("t2"), federated=True) as (credentials, passing, server):
        assert credentials.headers(2000) == bearer("t1")
        (tmp_path / "secret").write_text("rotated")
        passing.now += 3400
        assert credentials.headers(9000) == bearer("t2")

        assert [parse_qs(asked.body) for asked in server.asked] == [
            {
                "scope": ["all-apis"],
                "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
                "subject_token_type": ["urn:ietf:params:oauth:token-type:jwt"],
                "subject_token": [subject],
                "client_id": ["an-id"],
            }
            for subject in (CANARY, "rotated")
        ]
        assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(("life", "due"), [(3600, 3300), ("3600", 3300), (100, 50), (1e9, 86100), (None, 300)])
def test_renewed_before_the_end(life: object, due: float, tmp_path: Path) -> None:
    """A token is renewed five minutes before it ends, a short one at half its life."""
    first = grants("t1", life) if life is not None else says({"access_token": "t1"})
    with signing_in(tmp_path, first, grants("t2")) as (credentials, passing, _):
        credentials.headers(2000)
        passing.now += due - 0.1
        assert credentials.headers(1e9) == bearer("t1")
        passing.now += 0.1
        assert credentials.headers(1e9) == bearer("t2")


def test_failing_refresh(tmp_path: Path) -> None:
    """While a refresh fails the old token serves to its end, and the endpoint is asked once in ten seconds."""
    with signing_in(tmp_path, grants("t1"), says("", "503 No")) as (credentials, passing, server):
        credentials.headers(2000)
        passing.now += 3300
        assert [credentials.headers(1e9) for _ in range(3)] == [bearer("t1")] * 3
        assert len(server.asked) == 2
        passing.now += 299.9
        assert credentials.headers(1e9) == bearer("t1")
        passing.now += 0.1
        assert refused(credentials, 1e9) == (Reason.SERVER_ERROR, "HTTP 503")
        assert len(server.asked) == 3
        passing.now += 10
        refused(credentials, 1e9)
        assert len(server.asked) == 4


def test_refused_token(tmp_path: Path) -> None:
    """A refused token is renewed, unless it is new, or another caller has done so already."""
    with signing_in(tmp_path, grants("t1"), grants("t2")) as (credentials, passing, server):
        credentials.headers(2000)
        assert credentials.headers(2000, bearer("t1")) == bearer("t1")
        passing.now += 10
        assert credentials.headers(2000, bearer("t1")) == bearer("t2")
        assert credentials.headers(2000, bearer("t1")) == bearer("t2")
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "reason", "what"),
    [
        (says({"error": "invalid_client", "error_description": f"{CANARY} is wrong"}, "401 No"), Reason.UNAUTHORIZED, "HTTP 401: invalid_client: *** is wrong"),
        (says({"error": CANARY}, "400 No"), Reason.BAD_ANSWER, "HTTP 400: ***"),
        (says({"error_description": "YW4taWQ6dE9rRW4tb2YtNDMtY2hhcmFjdGVycy10aGF0LW5vYm9keS1tYXktcHJpbnQ="}, "400 No"), Reason.BAD_ANSWER, "HTTP 400: ***"),
        (says("", "429 No"), Reason.THROTTLED, "HTTP 429"),
        (says("", "302 No", Location=f"http://127.0.0.1:1/?t={CANARY}"), Reason.BAD_ANSWER, "HTTP 302: it sends us elsewhere, where we do not go: is this the workspace's own address?"),
        (says("<html>"), Reason.BAD_ANSWER, "a page for people (HTML) where JSON is expected: is this the workspace's own address?"),
        (says({}), Reason.BAD_ANSWER, "Object missing required field `access_token`"),
        (says({"access_token": f"a\r\nX: {CANARY}"}), Reason.BAD_ANSWER, "an access token that fits into no header"),
        (hangs_up(), Reason.DISCONNECTED, "the other side hung up"),
    ],
)  # fmt: skip
def test_no_token(answer: Answer, reason: Reason, what: str, tmp_path: Path) -> None:
    """Why there is no token is told in the endpoint's words, without the secret."""
    with signing_in(tmp_path, answer) as (credentials, _, _):
        assert refused(credentials) == (reason, what)
        assert refused(credentials) == (reason, what)


def test_a_secret_that_is_a_code(tmp_path: Path) -> None:
    """An error's code is shown only where it is none of the secrets."""
    with signing_in(tmp_path, says({"error": "abc_123", "error_description": "x"}, "400 No")) as (credentials, _, _):
        (tmp_path / "secret").write_text("abc_123")
        assert refused(credentials) == (Reason.BAD_ANSWER, "HTTP 400: ***: x")


def test_endless_life(tmp_path: Path) -> None:
    """A life that is no number of seconds is no life."""
    with signing_in(tmp_path, says('{"access_token": "t1", "expires_in": "nan"}'), grants("t2")) as (
        credentials,
        passing,
        server,
    ):
        assert credentials.headers(2000) == bearer("t1")
        passing.now += 1
        assert credentials.headers(2000) == bearer("t2")
        assert len(server.asked) == 2


def test_one_renews(tmp_path: Path) -> None:
    """Of many callers without a token one asks for it, and all share it."""
    let = threading.Event()
    with signing_in(tmp_path, held(let, grants("t1"))) as (credentials, _, server):
        found: list[Headers] = []
        threads = [threading.Thread(target=lambda: found.append(credentials.headers(2000))) for _ in range(8)]
        for thread in threads:
            thread.start()
        let.set()
        for thread in threads:
            thread.join(10)

        assert found == [bearer("t1")] * 8
        assert len(server.asked) == 1


def test_others_go_on(tmp_path: Path) -> None:
    """While one caller renews a token that is good for some minutes more, the others go on with it."""
    let = threading.Event()
    with signing_in(tmp_path, grants("t1"), held(let, grants("t2"))) as (credentials, passing, server):
        credentials.headers(2000)
        passing.now += 3400
        found: list[Headers] = []
        renewing = threading.Thread(target=lambda: found.append(credentials.headers(9000)))
        renewing.start()
        eventually(lambda: len(server.asked) == 2, "a caller renews it", within=5)
        assert credentials.headers(9000) == bearer("t1")
        let.set()
        renewing.join(10)

        assert found == [bearer("t2")]
        assert credentials.headers(9000) == bearer("t2")


def test_haste(tmp_path: Path) -> None:
    """A caller whose deadline is too near fails alone: it says nothing of the endpoint."""
    with signing_in(tmp_path, grants("t1")) as (credentials, _, _):
        assert refused(credentials, 999.0) == (Reason.TIMEOUT, "no time is left to ask")
        assert credentials.headers(2000) == bearer("t1")


def test_federation_of_the_account(tmp_path: Path) -> None:
    """Without a client id none is sent."""
    with signing_in(tmp_path, grants("t1"), federated=True, client_id=None) as (credentials, _, server):
        credentials.headers(2000)

        assert "client_id" not in parse_qs(server.asked[0].body)


def test_silent_endpoint(tmp_path: Path) -> None:
    """A token endpoint that is silent costs no caller more than its own deadline."""
    (tmp_path / "secret").write_text(CANARY)
    server = Server()
    with server.then(server.hangs):
        http = Http("workspace prod", server.url, ENDPOINTS)
        credentials = OAuth(http, ClientSecret("an-id", tmp_path / "secret"))
        began = time.monotonic()
        outcomes: list[Reason] = []

        def ask() -> None:
            outcomes.append(refused(credentials, time.monotonic() + 0.4)[0])

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

        assert outcomes == [Reason.TIMEOUT] * 3
        assert time.monotonic() - began < 1.2
        http.close()


def test_nothing_shown(tmp_path: Path) -> None:
    """What holds a secret shows none."""
    with signing_in(tmp_path, grants(CANARY)) as (credentials, _, _):
        headers = credentials.headers(2000)

        assert CANARY not in repr((headers, credentials._token, credentials._grant))
        assert json.dumps(str(headers)) == "\"{'Authorization': Secret('***')}\""
