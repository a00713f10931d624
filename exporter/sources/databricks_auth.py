"""Who we are for a Databricks workspace: the headers of every call, from a token's file or from OAuth; asks nobody else.

https://docs.databricks.com/dev-tools/auth/
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import msgspec

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources import databricks_answers, secret_file
from exporter.sources.databricks_endpoints import TOKEN
from exporter.sources.http import Headers, Http, Request

# A token is renewed this long before it ends, or at half its life where that is later.
MARGIN = 300.0
# After a failure, and after a new token was refused, the token endpoint is left alone for a while.
PAUSE = 10.0
REFRESH_SECONDS = 5.0
LONGEST_LIFE = 86_400.0

Clock = Callable[[], float]


class Credentials(Protocol):
    """Where the headers of a call come from; safe to use from any thread."""

    def headers(self, deadline: float, refused: Headers | None = None) -> Headers:
        """The headers to ask with; raises SourceError where there are none before `deadline`, a monotonic moment.

        `refused` are those that a call was just answered 401 to. What comes back is equal to them where there are no others.
        """
        ...


class GivenToken:
    """A personal access token that was given as it is, by the environment; there is never another one."""

    def __init__(self, token: Secret) -> None:
        self._headers = _bearer(token)

    def headers(self, deadline: float, refused: Headers | None = None) -> Headers:  # noqa: ARG002 -- Credentials's
        return self._headers


class TokenFile:
    """A personal access token in a file, read again when the file changes, and when the token was refused."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._stamp: secret_file.Stamp | None = None
        self._headers: Headers = {}

    def headers(self, deadline: float, refused: Headers | None = None) -> Headers:  # noqa: ARG002 -- Credentials's
        with self._lock:
            # A file may be written again within one tick of its clock: hence the second look after a refusal.
            if refused == self._headers or self._stamp != secret_file.stamp(self._file):
                token, self._stamp = secret_file.read(self._file)
                self._headers = _bearer(token)
            return self._headers


@dataclass(frozen=True)
class ClientSecret:
    """OAuth for a service principal (RFC 6749, 4.4): its id, and its secret, or the file of it, read at each refresh."""

    client_id: str
    secret: Path | Secret


@dataclass(frozen=True)
class Federation:
    """A token exchanged for a Databricks one (RFC 8693): the file of a JWT, projected by Kubernetes, read at each refresh.

    Without a client id the account's own federation policy decides who we are.
    """

    token_file: Path
    client_id: str | None = None


class OAuth:
    """Access tokens of the workspace's own token endpoint, renewed by one caller before they end, while others go on."""

    def __init__(self, http: Http, grant: ClientSecret | Federation, monotonic: Clock = time.monotonic) -> None:
        self._http = http
        self._grant = grant
        self._monotonic = monotonic
        self._renewing = threading.Lock()
        self._token: _Token | None = None
        self._failure: SourceError | None = None
        self._failed_at = 0.0

    def headers(self, deadline: float, refused: Headers | None = None) -> Headers:
        token = self._token
        if token is not None and not self._is_due(token, refused):
            return token.headers
        usable = token is not None and token.headers != refused and self._monotonic() < token.ends
        if not self._renewing.acquire(timeout=0 if usable else max(0.0, deadline - self._monotonic())):
            if usable and token is not None:
                return token.headers
            raise SourceError(Reason.TIMEOUT, f"{self._what()}: no token before the deadline")
        try:
            return self._renewed(deadline, refused)
        finally:
            self._renewing.release()

    def _renewed(self, deadline: float, refused: Headers | None) -> Headers:
        token = self._token  # which another caller may have renewed
        if token is not None and not self._is_due(token, refused):
            return token.headers
        now = self._monotonic()
        usable = token is not None and token.headers != refused and now < token.ends
        failure = self._failure
        if failure is None or now >= self._failed_at + PAUSE:
            limit = min(deadline, now + REFRESH_SECONDS)
            try:
                self._token, self._failure = self._fetched(limit), None
            except SourceError as error:
                failure = error
                if error.reason is not Reason.TIMEOUT or limit < deadline:  # one caller's haste is not the others' failure
                    self._failure, self._failed_at = error, self._monotonic()
            else:
                return self._token.headers
        if usable and token is not None:
            return token.headers
        raise SourceError(failure.reason, str(failure))

    def _is_due(self, token: _Token, refused: Headers | None) -> bool:
        now = self._monotonic()
        # A token that is new and refused is no worse than the next one would be.
        return now >= token.due or (token.headers == refused and now >= token.since + PAUSE)

    def _fetched(self, deadline: float) -> _Token:
        request = _request(self._grant)
        response = self._http.send(request, deadline)
        now = self._monotonic()
        if response.status != 200:  # noqa: PLR2004 -- RFC 6749, 5.1
            raise databricks_answers.refusal(self._what(), response, request.hidden)
        answer = databricks_answers.value(self._what(), response, _Answer)
        if not _TOKEN.fullmatch(answer.access_token):
            raise SourceError(Reason.BAD_ANSWER, f"{self._what()}: an access token that fits into no header")
        life = min(LONGEST_LIFE, max(0.0, answer.expires_in))
        return _Token(_bearer(Secret(answer.access_token)), now, now + life - min(MARGIN, life / 2), now + life)

    def _what(self) -> str:
        return f"{self._http.name}: {TOKEN.method} {TOKEN.path}"


@dataclass(frozen=True)
class _Token:
    """Monotonic moments: `since` it is known, `due` for renewal, and when it `ends`."""

    headers: Headers
    since: float
    due: float
    ends: float


class _Answer(msgspec.Struct):
    """RFC 6749, 5.1; Databricks' tokens live for an hour, one that doesn't say is renewed sooner."""

    access_token: str
    expires_in: float = 600.0


def _request(grant: ClientSecret | Federation) -> Request:
    form = {"scope": "all-apis"}
    headers: Headers = {}
    hidden: tuple[Secret, ...]
    if isinstance(grant, ClientSecret):
        secret = grant.secret if isinstance(grant.secret, Secret) else secret_file.read(grant.secret)[0]
        basic = Secret(base64.b64encode(f"{grant.client_id}:{secret.reveal()}".encode()).decode())
        form["grant_type"] = "client_credentials"
        headers = {"Authorization": Secret(f"Basic {basic.reveal()}")}
        hidden = (secret, basic)
    else:
        token, _ = secret_file.read(grant.token_file)
        form |= {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "subject_token": token.reveal(),
        }
        if grant.client_id is not None:
            form["client_id"] = grant.client_id
        hidden = (token,)
    return Request(
        TOKEN,
        headers=headers,
        body=Secret(urlencode(form)),
        content_type="application/x-www-form-urlencoded",
        hidden=hidden,
    )


def _bearer(token: Secret) -> Headers:
    return {"Authorization": Secret(f"Bearer {token.reveal()}")}


_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
