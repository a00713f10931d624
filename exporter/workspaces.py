"""The clients of the workspaces that settings, or Databricks' own environment variables, name; asks nobody yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from exporter.config import WorkspaceSettings
from exporter.errors import ConfigError
from exporter.secret import Secret
from exporter.sources.address import address, environment_proxy
from exporter.sources.databricks import Stop, Workspace
from exporter.sources.databricks_auth import ClientSecret, Credentials, Federation, GivenToken, OAuth, TokenFile
from exporter.sources.databricks_endpoints import ENDPOINTS
from exporter.sources.databricks_sdk import SdkCredentials
from exporter.sources.http import Http, Network

HOST, TOKEN, CLIENT_ID, CLIENT_SECRET = (
    "DATABRICKS_HOST",
    "DATABRICKS_TOKEN",
    "DATABRICKS_CLIENT_ID",
    "DATABRICKS_CLIENT_SECRET",
)


def named(settings: tuple[WorkspaceSettings, ...], environ: Mapping[str, str]) -> tuple[WorkspaceSettings, ...]:
    """Those of the settings; where there are none, the one that DATABRICKS_HOST names, called by its host's first part."""
    host = environ.get(HOST)
    if settings or not host:
        return settings
    name = urlsplit(host if "://" in host else f"https://{host}").hostname or "workspace"
    return (WorkspaceSettings(name.partition(".")[0], host, client_id=environ.get(CLIENT_ID)),)


def clients(
    settings: tuple[WorkspaceSettings, ...], environ: Mapping[str, str], stop: Stop
) -> dict[WorkspaceSettings, Workspace]:
    """A client for each; raises ConfigError with the problems of all of them."""
    found: dict[WorkspaceSettings, Workspace] = {}
    problems: list[str] = []
    for one in settings:
        try:
            found[one] = _client(one, environ, stop)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(tuple(problems))
    return found


def _client(one: WorkspaceSettings, environ: Mapping[str, str], stop: Stop) -> Workspace:
    name = f"workspace {one.name}"
    host = address(name, one.host)
    network = Network(environment_proxy(name, host, environ), Path(one.ca_file) if one.ca_file else None)
    http = Http(name, host, ENDPOINTS, network)
    return Workspace(http, _credentials(one, name, host, http, environ), stop, rate=one.requests_per_second, burst=one.burst)


def _credentials(one: WorkspaceSettings, name: str, host: str, http: Http, environ: Mapping[str, str]) -> Credentials:
    if one.token_file is not None:
        return TokenFile(Path(one.token_file))
    if one.client_secret_file is not None and one.client_id is not None:
        return OAuth(http, ClientSecret(one.client_id, Path(one.client_secret_file)))
    if one.oidc_token_file is not None:
        return OAuth(http, Federation(Path(one.oidc_token_file), one.client_id))
    if one.profile is not None:
        return SdkCredentials(name, {"host": host, "profile": one.profile})
    if one.client_id is not None and environ.get(CLIENT_SECRET):
        return OAuth(http, ClientSecret(one.client_id, Secret(environ[CLIENT_SECRET])))
    if environ.get(TOKEN):
        return GivenToken(Secret(environ[TOKEN]))
    raise ConfigError((f"{HOST}: {TOKEN}, or {CLIENT_ID} and {CLIENT_SECRET}, are missing",))
