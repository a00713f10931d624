"""Sockets that listen: opened at an address, or handed over by systemd; nothing is accepted here."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import MutableMapping

BACKLOG = 1024
FIRST_HANDED_OVER = 3
# Of Linux' asm-generic/socket.h; Python has no name for it.
SO_ATTACH_FILTER = 26


def opened(address: str) -> socket.socket:
    """A socket that listens on `host:port`, without a host on every address of both families; raises OSError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family, name = _resolved(host, int(port))
        return _listening(family, name, both=host in ("", "::"))
    except (OSError, UnicodeError) as error:
        raise OSError(f"can't listen on {address}: {getattr(error, 'strerror', None) or error}") from error


def handed_over(environ: MutableMapping[str, str], pid: int, first: int = FIRST_HANDED_OVER) -> list[socket.socket]:
    """The sockets that systemd opened for this process; the variables go, lest a child take them for its own."""
    meant = environ.pop("LISTEN_PID", "") == str(pid)
    count = environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not meant or not count.isdecimal():
        return []
    found = []
    for number in range(first, first + int(count)):
        one = socket.socket(fileno=number)
        one.set_inheritable(False)
        one.setblocking(False)
        found.append(one)
    return found


def hush(listener: socket.socket) -> None:
    """Lets nobody connect any more, where the kernel can do that; who is connected and waits to be accepted stays.

    Closed without it, a listener resets who came between the last that was accepted and the end, and was told that it is
    connected. With it such a client is not heard, asks again a second later, and is refused.
    """
    nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # of classic BPF: return 0 bytes of every packet
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(nothing)))


def name(listener: socket.socket) -> str:
    """Where it listens: `127.0.0.1:10071`, `[::]:10071`, or the path of a UNIX socket."""
    if listener.family == socket.AF_UNIX:
        return str(listener.getsockname())
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    if not host:
        return (socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET), ("", port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name that has both families is served where most look first.
    family, *_, name = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, name  # type: ignore[return-value]  # of one of the two families it is host and port, and more


def _listening(family: socket.AddressFamily, name: tuple[str, int], *, both: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for the connections of the one before to be forgotten.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        one.bind(name)
        one.listen(BACKLOG)
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one
