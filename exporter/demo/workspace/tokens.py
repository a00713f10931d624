"""Who may ask: the token of the workspace, and those that its token endpoint hands out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
LIFETIME_SECONDS = 3600


@dataclass(frozen=True)
class Credentials:
    """What is accepted: a personal token, a client with its secret, the subject tokens of a federation.

    `issued` maps each token handed out to the epoch second of its end.
    """

    token: str = "dapi-simulated"  # noqa: S105
    client_id: str = "exporter"
    client_secret: str = "simulated-secret"  # noqa: S105
    subject_tokens: tuple[str, ...] = ("subject-token",)
    issued: tuple[tuple[str, float], ...] = ()
    serial: int = 0

    def accepts(self, authorization: str, now: float) -> bool:
        """Whether the header's bearer token is good at this time."""
        scheme, _, token = authorization.partition(" ")
        good = {self.token, *(one for one, end in self.issued if now < end)}
        return scheme.lower() == "bearer" and token.strip() in good


def grant(
    credentials: Credentials, form: Mapping[str, str], authorization: str, now: float
) -> tuple[int, dict[str, Any], Credentials]:
    """Status and body of POST /oidc/v1/token, and the credentials from then on."""
    kind = form.get("grant_type")
    if kind == "client_credentials":
        if _client(form, authorization) != (credentials.client_id, credentials.client_secret):
            return 401, {"error": "invalid_client", "error_description": "Client authentication failed"}, credentials
    elif kind == EXCHANGE:
        if form.get("subject_token") not in credentials.subject_tokens:
            return 400, {"error": "invalid_grant", "error_description": "The subject token is not valid"}, credentials
    else:
        return 400, {"error": "unsupported_grant_type", "error_description": f"Unsupported grant type: {kind}"}, credentials
    serial = credentials.serial + 1
    token = f"issued-{serial}"
    issued = (*credentials.issued, (token, now + LIFETIME_SECONDS))
    body = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": LIFETIME_SECONDS,
        "scope": form.get("scope", "all-apis"),
    }
    return 200, body, replace(credentials, issued=issued, serial=serial)


def _client(form: Mapping[str, str], authorization: str) -> tuple[str, str]:
    """The client's id and secret, from the Authorization header or from the form."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return client_id, secret
