"""Fetches the page of an exporter on a cluster's driver, through its workspace's driver proxy; asks a driver for nothing else.

Databricks does not document this proxy. To use it takes CAN ATTACH TO on the cluster, with which code can be run there: hence
a token of its own. It starts no cluster that has ended, but may keep one from ending by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources import databricks_answers
from exporter.sources.databricks_auth import Credentials
from exporter.sources.http import Endpoint, Headers, Http, Request, Response

PAGE = Endpoint("driver-proxy/metrics", "GET", "/driver-proxy-api/o/{org_id}/{cluster_id}/{port}/metrics")
MAX_PAGE_BYTES = 16 * 1024 * 1024

_ACCEPT = {"Accept": Secret("text/plain;version=0.0.4")}
_VERSIONS = ("", "0.0.4")
_OK, _UNAUTHORIZED = 200, 401


@dataclass(frozen=True)
class DriverProxy:
    """The way to the drivers of a workspace: `http` may ask for PAGE and takes MAX_PAGE_BYTES at most.

    `org_id` is the workspace's number, 0 where its host is its own. Exporters listen on `port`.
    """

    http: Http
    credentials: Credentials
    org_id: str = "0"
    port: int = 10071


def fetched(proxy: DriverProxy, cluster_id: str, deadline: float) -> bytes:
    """The page in Prometheus' text format, as the driver wrote it; raises SourceError.

    The deadline is a moment of the monotonic clock. Whoever runs code on the cluster can write whatever stands there.
    """
    headers = proxy.credentials.headers(deadline)
    response = _answer(proxy, cluster_id, headers, deadline)
    if response.status == _UNAUTHORIZED:
        renewed = proxy.credentials.headers(deadline, headers)
        if renewed != headers:
            headers, response = renewed, _answer(proxy, cluster_id, renewed, deadline)
    what = f"{proxy.http.name}: the driver of {cluster_id}"
    if response.status != _OK:
        raise databricks_answers.refusal(what, response, [word for value in headers.values() for word in _words(value)])
    if not _is_page(response):
        raise SourceError(Reason.BAD_ANSWER, f"{what}: what came is no page of metrics: does an exporter listen there?")
    if not response.body.endswith(b"\n"):
        raise SourceError(Reason.BAD_ANSWER, f"{what}: a page that ends in the middle of a line")
    return response.body


def _answer(proxy: DriverProxy, cluster_id: str, headers: Headers, deadline: float) -> Response:
    ids = {"org_id": proxy.org_id, "cluster_id": cluster_id, "port": str(proxy.port)}
    return proxy.http.send(Request(PAGE, ids, headers={**headers, **_ACCEPT}), deadline)


def _is_page(response: Response) -> bool:
    """Whether it says that it is one: while a driver starts, the proxy answers 200 with a page for people."""
    kind, *parameters = (part.strip() for part in response.headers.get("content-type", "").lower().split(";"))
    version = next((part.removeprefix("version=") for part in parameters if part.startswith("version=")), "")
    return kind == "text/plain" and version in _VERSIONS


def _words(value: Secret) -> tuple[Secret, Secret]:
    """A header's value, and without the scheme before it."""
    return value, Secret(value.reveal().rpartition(" ")[2])
