"""exporter/workspaces.py: which client a workspace gets; the token that it signs in with is seen by a server on loopback."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exporter.config import WorkspaceSettings
from exporter.errors import ConfigError
from exporter.sources.databricks_endpoints import ME
from exporter.workspaces import clients, named
from tests.sources.http_server import Server, says

HOST = "https://adb-1.azuredatabricks.net"
TOKEN = "dapi-of-this-test"


def settings(host: str = HOST, **more: Any) -> WorkspaceSettings:
    return WorkspaceSettings("prod", host, **more)


def problems(*several: WorkspaceSettings, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        clients(several, environ or {}, threading.Event())
    return raised.value.problems


def test_named() -> None:
    """Settings name the workspaces; where they name none, Databricks' variables may name one, by the first part of its host."""
    variables = {"DATABRICKS_HOST": "adb-1.azuredatabricks.net/", "DATABRICKS_CLIENT_ID": "me"}

    assert named((settings(token_file="/t"),), variables) == (settings(token_file="/t"),)
    assert named((), variables) == (WorkspaceSettings("adb-1", "adb-1.azuredatabricks.net/", client_id="me"),)
    assert named((), {}) == ()


@pytest.mark.parametrize(
    "one",
    [
        settings(token_file="/t"),
        settings(client_id="me", client_secret_file="/s"),
        settings(oidc_token_file="/o"),
        settings(oidc_token_file="/o", client_id="me"),
        settings(profile="DEFAULT"),
        settings(token_file="/t", ca_file="/ca.pem"),
    ],
)
def test_clients(one: WorkspaceSettings) -> None:
    """Each way to sign in makes a client, and nothing is asked, nor any file read, for that."""
    found = clients((one,), {}, threading.Event())

    assert list(found) == [one]


def test_every_problem() -> None:
    """What is wrong with several workspaces is told at once, and no secret with it."""
    wrong = (
        settings(host="http://x.example", token_file="/t"),
        WorkspaceSettings("dev", "https://u:hidden@y", token_file="/t"),
    )

    assert problems(*wrong) == (
        "workspace prod: the address can't be used: http is for this machine alone: https is wanted",
        "workspace dev: the address can't be used: it holds a user or a password",
    )


def test_no_way_to_sign_in() -> None:
    """A host in the environment without a token, or a client without its secret, is told."""
    told = ("DATABRICKS_HOST: DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, are missing",)

    assert problems(settings()) == told
    assert problems(settings(client_id="me"), environ={"DATABRICKS_CLIENT_ID": "me"}) == told


@pytest.mark.parametrize("where", ["file", "environment"])
def test_token(where: str, tmp_path: Path) -> None:
    """The token of the file, or of the environment, is what a workspace is asked with."""
    (tmp_path / "token").write_text(TOKEN)
    with Server(says({"userName": "me"})) as server:
        one = settings(host=server.url, **({"token_file": str(tmp_path / "token")} if where == "file" else {}))
        found = clients((one,), {"DATABRICKS_TOKEN": TOKEN} if where == "environment" else {}, threading.Event())
        with closing(found[one]) as client:
            client.get(ME, dict, time.monotonic() + 10)

    assert [asked.headers["authorization"] for asked in server.asked] == [f"Bearer {TOKEN}"]


def test_client_secret_of_the_environment() -> None:
    """A client's id and secret in the environment are exchanged for a token."""
    environ = {"DATABRICKS_CLIENT_SECRET": "hidden"}
    with Server(says({"access_token": "short-lived"}), says({"userName": "me"})) as server:
        one = settings(host=server.url, client_id="me")
        found = clients((one,), environ, threading.Event())
        with closing(found[one]) as client:
            client.get(ME, dict, time.monotonic() + 10)

    assert server.asked[0].target == "/oidc/v1/token"
    assert server.asked[1].headers["authorization"] == "Bearer short-lived"
