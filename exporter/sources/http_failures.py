"""What the exception of a failed HTTP call means; pure, and shows nothing of it that may hold a secret."""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException, IncompleteRead
from typing import Any

from requests.exceptions import ProxyError
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError

from exporter.errors import Reason


class BadBody(ValueError):  # noqa: N818 -- it says what is wrong with what; "Error" would add nothing
    """A body that is too large, or not what its header says; the message shows nothing of it."""


def failure(error: Exception) -> tuple[Reason, str]:
    """The reason, and words of our own for it: those of the libraries may repeat headers and addresses."""
    chain = tuple(_chain(error))
    for kinds, reason, what in _MEANINGS:
        for each in chain:
            if isinstance(each, kinds):
                return reason, what if isinstance(what, str) else what(each)
    return Reason.INTERNAL, type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# The first that is anywhere in the chain decides: libraries wrap a proxy's refusal in what looks like a broken connection.
_MEANINGS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Reason, str | Callable[[Any], str]], ...] = (
    (BadBody, Reason.BAD_ANSWER, str),
    (TimeoutError, Reason.TIMEOUT, "no answer in time"),
    (ProxyError, Reason.UNREACHABLE, "the proxy does not let it through"),
    ((socket.gaierror, LocationParseError), Reason.UNREACHABLE, "its name is not known"),
    (ConnectionRefusedError, Reason.REFUSED, "nobody listens there"),
    (ssl.SSLCertVerificationError, Reason.TLS, lambda error: f"its certificate is not trusted: {error.verify_message}"),
    ((ConnectionError, IncompleteRead, ssl.SSLEOFError, ssl.SSLZeroReturnError), Reason.DISCONNECTED, "the other side hung up"),
    (ssl.SSLError, Reason.TLS, lambda error: f"no TLS: {(error.reason or 'unknown').lower().replace('_', ' ')}"),
    (NewConnectionError, Reason.UNREACHABLE, "no way to it"),
    ((FileNotFoundError, PermissionError), Reason.UNREADABLE, lambda error: f"{error.filename}: {error.strerror}"),
    ((HTTPException, HTTPError, zlib.error), Reason.BAD_ANSWER, "no HTTP that can be read"),
    (OSError, Reason.DISCONNECTED, "the connection broke"),
)
