"""Every error that this package raises on purpose, and the closed set of reasons that become label values.

ExporterError
├── ConfigError     the settings can't be used; carries every problem, exit code 2
├── SourceError     a source did not answer, or not as it should; carries a Reason
├── StorageError    the state on disk can't be read, written or locked
└── DemoError       the demo lacks something, or one of its programs ended
"""

from __future__ import annotations

import enum


class Reason(str, enum.Enum):
    """Why a source failed; the only values of the label `reason`."""

    REFUSED = "refused"  # nobody listens at the address: the process behind it is gone
    UNREACHABLE = "unreachable"  # no way to the address: its name is unknown, no route, a proxy that refuses
    TLS = "tls"  # a certificate that is not to be trusted, or no common ground
    TIMEOUT = "timeout"  # no answer before the deadline: paused, swapping, in a long collection of garbage
    UNAUTHORIZED = "unauthorized"  # the token is not, or no longer, the right one
    FORBIDDEN = "forbidden"  # the right token, without the permission
    NOT_FOUND = "not_found"  # what was asked for is not there, or not to be seen
    THROTTLED = "throttled"  # asked too often: by the service's count or by our own budget
    SERVER_ERROR = "server_error"  # the service failed, and said so
    DISCONNECTED = "disconnected"  # the other side hung up in the middle
    BAD_ANSWER = "bad_answer"  # an answer that is not of the agreed shape
    UNREADABLE = "unreadable"  # a file that is missing, not ours, or not to be trusted
    STORAGE = "storage"  # the state could not be written
    INTERNAL = "internal"  # a fault of this exporter


class ExporterError(Exception):
    """The root of the tree; never raised itself."""


class ConfigError(ExporterError):
    """Settings that can't be used; `problems` holds all of them, each with its place."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SourceError(ExporterError):
    """A source failed; `reason` is one of the closed set, the message names the thing and holds no secret."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StorageError(ExporterError):
    """The state on disk can't be used; the message names the file."""


class DemoError(ExporterError):
    """The demo can't be shown; the message says what to do."""
