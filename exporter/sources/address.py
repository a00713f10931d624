"""The address of a web service as a person wrote it, and the proxy on the way there; pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from exporter.errors import ConfigError
from exporter.secret import Secret

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def address(name: str, text: str) -> str:
    """`https://host` or `https://host:port` of what was written, with or without the scheme.

    Without TLS only this machine is spoken to: a token would travel readable. Raises ConfigError, which names what is wrong
    and shows nothing of the text, for it may hold a password.
    """
    try:
        parts = _split(text if "://" in text else f"https://{text}")
        port = parts.port
    except ValueError:
        raise ConfigError((f"{name}: the address is none: https://HOST is wanted",)) from None
    host = parts.hostname or ""
    for wrong, what in (
        (parts.scheme not in {"https", "http"}, "its scheme is neither https nor http"),
        ("@" in parts.netloc, "it holds a user or a password"),
        (parts.path not in {"", "/"}, "it holds a path"),
        ("?" in text or "#" in text, "it holds a query or a fragment"),
        (not _is_host(host), "its host is no name and no IP address"),
        (port == 0, "port 0"),
        (parts.scheme == "http" and not is_loopback(host), "http is for this machine alone: https is wanted"),
    ):
        if wrong:
            raise ConfigError((f"{name}: the address can't be used: {what}",))
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}" + ("" if port is None else f":{port}")


def proxy(name: str, text: str) -> Secret:
    """A proxy's address, http://[user:password@]host:port; raises ConfigError, which shows nothing of it."""
    try:
        parts = _split(text)
        usable = parts.scheme == "http" and _is_host(parts.hostname or "") and parts.port != 0 and parts.path in {"", "/"}
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError((f"{name}: the proxy can't be used: http://HOST:PORT is wanted",))
    return Secret(text)


def environment_proxy(name: str, address: str, environment: Mapping[str, str]) -> Secret | None:
    """The proxy that HTTPS_PROXY and NO_PROXY name for an address (also in small letters, which go first); None for none.

    NO_PROXY holds hosts, each with all below it, or `*`. Raises ConfigError.
    """
    text = environment.get("https_proxy") or environment.get("HTTPS_PROXY") or ""
    exempt = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").lower().replace(" ", "").split(",")
    host = urlsplit(address).hostname or ""
    if not text or is_loopback(host):
        return None
    if any(each == "*" or f".{host}".endswith("." + each.removeprefix("*").lstrip(".")) for each in exempt if each):
        return None
    return proxy(name, text if "://" in text else f"http://{text}")


def is_loopback(host: str) -> bool:
    """Whether a host's name or IP address can mean this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(text: str) -> SplitResult:
    # urlsplit drops tabs and line ends, and with them what a person can't see.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError
    return urlsplit(text)


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return "%" not in host
    return _HOST.fullmatch(host) is not None and ".." not in host
