"""exporter/sources/driver_proxy.py against a server on a real socket that answers as a driver, or as what stands before one."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources.databricks_auth import GivenToken, TokenFile
from exporter.sources.driver_proxy import MAX_PAGE_BYTES, PAGE, DriverProxy, fetched
from exporter.sources.http import Http
from tests.sources.http_server import Answer, Server, says

CANARY = "tOkEn-of-43-characters-that-nobody-may-print"
CLUSTER = "0923-164208-meows279"
METRICS = b'spark_driver_reachable{app="etl"} 1\n'
TEXT = "text/plain; version=0.0.4; charset=utf-8"


@contextmanager
def proxied(*answers: Answer, max_bytes: int = MAX_PAGE_BYTES) -> Iterator[tuple[DriverProxy, Server]]:
    with Server(*answers) as server, closing(Http("workspace prod", server.url, {PAGE}, max_bytes=max_bytes)) as http:
        yield DriverProxy(http, GivenToken(Secret(CANARY)), "17", 10071), server


def page(proxy: DriverProxy, cluster_id: str = CLUSTER, seconds: float = 10.0) -> bytes:
    return fetched(proxy, cluster_id, time.monotonic() + seconds)


def refused(proxy: DriverProxy, cluster_id: str = CLUSTER, seconds: float = 10.0) -> tuple[Reason, str]:
    """Why there is no page; fails where the token is anywhere in what is raised."""
    with pytest.raises(SourceError) as raised:
        page(proxy, cluster_id, seconds)
    assert CANARY not in "".join(traceback.format_exception(raised.value))
    return raised.value.reason, str(raised.value)


def test_page() -> None:
    """The page is asked for at the driver's port, with the token and in the text format, and handed on as it is."""
    with proxied(says(METRICS, Content_Type=TEXT)) as (proxy, server):
        body = page(proxy)

        assert body == METRICS
        (asked,) = server.asked
        assert (asked.method, asked.target) == ("GET", f"/driver-proxy-api/o/17/{CLUSTER}/10071/metrics")
        assert asked.headers["authorization"] == f"Bearer {CANARY}"
        assert asked.headers["accept"] == "text/plain;version=0.0.4"


@pytest.mark.parametrize("kind", ["text/plain", "Text/Plain; charset=utf-8; version=0.0.4"])
def test_kinds(kind: str) -> None:
    """Plain text of the one version that we speak is a page."""
    with proxied(says(METRICS, Content_Type=kind)) as (proxy, _):
        assert page(proxy) == METRICS


@pytest.mark.parametrize(
    "kind", ["text/html", "application/json", "", "text/plain; version=1.0.0", "application/openmetrics-text; version=1.0.0"]
)
def test_no_page(kind: str) -> None:
    """All else is none, though its status is 200: so a proxy answers while a driver starts."""
    with proxied(says(METRICS, Content_Type=kind)) as (proxy, _):
        assert refused(proxy) == (
            Reason.BAD_ANSWER,
            f"workspace prod: the driver of {CLUSTER}: what came is no page of metrics: does an exporter listen there?",
        )


@pytest.mark.parametrize("body", [b"", METRICS + b"spark_dri"])
def test_half_a_page(body: bytes) -> None:
    """A page is whole or it is none."""
    with proxied(says(body, Content_Type=TEXT)) as (proxy, _):
        assert refused(proxy) == (
            Reason.BAD_ANSWER,
            f"workspace prod: the driver of {CLUSTER}: a page that ends in the middle of a line",
        )


def test_large_page() -> None:
    """A page that is larger than may be taken is none."""
    with proxied(says(METRICS * 10, Content_Type=TEXT), max_bytes=len(METRICS) * 10 - 1) as (proxy, _):
        reason, words = refused(proxy)

    assert reason is Reason.BAD_ANSWER
    assert words.endswith(f": a body of more than {len(METRICS) * 10 - 1} bytes")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("401 Unauthorized", Reason.UNAUTHORIZED),
        ("403 Forbidden", Reason.FORBIDDEN),
        ("404 Not Found", Reason.NOT_FOUND),
        ("502 Bad Gateway", Reason.SERVER_ERROR),
        ("302 Found", Reason.BAD_ANSWER),
    ],
)
def test_refusal(status: str, reason: Reason) -> None:
    """An answer other than 200 is why there is no page; it is told without the token, which it may repeat."""
    with proxied(says(f'{{"message": "no {CANARY}"}}', status)) as (proxy, server):
        assert refused(proxy)[0] is reason
        assert len(server.asked) == 1


def test_changed_token(tmp_path: Path) -> None:
    """A token that is refused is read anew, and asked with once more where it is another."""
    file = tmp_path / "token"
    file.write_text("old-token")

    with Server(says("", "200 OK")) as server, closing(Http("workspace prod", server.url, {PAGE})) as http:
        proxy = DriverProxy(http, TokenFile(file))

        def refuses(connection: object, asked: object) -> None:
            file.write_text("new-token")
            says({}, "401 Unauthorized")(connection, asked)  # type: ignore[arg-type] # handed on

        server.then(refuses, says(METRICS, Content_Type=TEXT))
        body = page(proxy)

        assert body == METRICS
        assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer old-token", "Bearer new-token"]


@pytest.mark.parametrize("cluster_id", ["", "..", "a/b", "a?b", "a%2fb", "a" * 129])
def test_ids(cluster_id: str) -> None:
    """What is no id leads nowhere, and nobody is asked."""
    with proxied(says(METRICS, Content_Type=TEXT)) as (proxy, server):
        assert refused(proxy, cluster_id)[0] is Reason.INTERNAL
        assert server.asked == []


def test_deadline() -> None:
    """A driver that does not answer takes no longer than the deadline."""
    with proxied(says("")) as (proxy, server):
        server.then(server.hangs)
        began = time.monotonic()

        assert refused(proxy, seconds=0.3)[0] is Reason.TIMEOUT
        assert time.monotonic() - began < 5
