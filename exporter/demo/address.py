"""Where the exporter of the demo listens: the usual settings decide, and a port that is taken is told before Spark starts."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import NamedTuple

from exporter import config
from exporter.errors import ConfigError, DemoError

VARIABLE = f"{config.ENVIRONMENT_PREFIX}WEB_LISTEN_ADDRESS"
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  named, not listened on


class Address(NamedTuple):
    """A host, empty for every address, and a port."""

    host: str
    port: int

    @property
    def flag(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def near(self) -> str:
        """The host by which this machine reaches it."""
        return _EVERYWHERE.get(self.host, self.host)

    @property
    def url(self) -> str:
        return f"http://{_bracketed(self.near)}:{self.port}"


def chosen(environ: Mapping[str, str]) -> Address:
    """The address to listen on, with a port in the place of 0; raises DemoError where nobody can listen there."""
    try:
        text, *_ = config.load({}, {name: value for name, value in environ.items() if name == VARIABLE}).web.listen_address
    except ConfigError as error:
        raise DemoError(str(error)) from error
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    every = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if every or ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, int(port)), family=family, dualstack_ipv6=every) as probe:
            return Address(host, probe.getsockname()[1])
    except OSError as error:
        # Python adds the address to what the system says, and it stands in the line already.
        reason = str(error.strerror).partition(" (")[0]
        raise DemoError(f"can't listen on {text} ({reason}): end what listens there, or set {VARIABLE}=:PORT") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
