"""exporter/listening.py."""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from exporter.listening import handed_over, hush, opened
from tests.peers import PAGE, SCRAPE, connected, fronted, rest, said

ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
from exporter.answer import Plain, text
from exporter.listening import handed_over
from exporter.web import Front
os.environ["LISTEN_PID"] = str(os.getpid())
front = Front(["127.0.0.1:1"], {"/metrics": Plain(lambda: text(200, "activated"))}, sockets=handed_over(os.environ, os.getpid()))
assert not [name for name in os.environ if name.startswith("LISTEN_")]
print(front.port, flush=True)
sys.stdin.read()
front.close()
"""


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": "7", "LISTEN_FDS": "x"},
        {"LISTEN_PID": "7"},
    ],
)
def test_not_handed_over(environ: dict[str, str]) -> None:
    """Sockets that are another process's, or none, are not taken; the variables go all the same."""
    assert handed_over(environ, 7) == []
    assert environ == {}


def test_handed_over_here() -> None:
    """A socket of this process's own is taken as it stands, and no child inherits it."""
    with closing(opened("127.0.0.1:0")) as listener:
        os.set_inheritable(number := os.dup(listener.fileno()), True)
        (found,) = handed_over({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, 7, first=number)
        with closing(found):
            assert found.getsockname() == listener.getsockname()
            assert not found.get_inheritable()


def test_handed_over() -> None:
    """A socket that is handed over as systemd does it is served, and the addresses are not."""
    with closing(opened("127.0.0.1:0")) as listener:
        port = listener.getsockname()[1]
        number = listener.fileno()
        command = [sys.executable, "-c", ACTIVATED, str(number)]
        environ = {**os.environ, "LISTEN_FDS": "1"}
        with subprocess.Popen(command, env=environ, pass_fds=(number,), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None

            assert int(child.stdout.readline()) == port
            assert said(port, SCRAPE).endswith(b"activated\n")
            child.communicate(timeout=10)
    assert child.returncode == 0


def test_handed_on() -> None:
    """A socket that was handed over outlives the front: who connects after its end is answered by the next."""
    with closing(opened("127.0.0.1:0")) as listener:
        with fronted(sockets=[listener.dup()]) as first:
            first.close(5.0)
        with closing(connected(listener.getsockname()[1])) as peer:
            peer.sendall(SCRAPE)
            with fronted(sockets=[listener.dup()]):
                assert rest(peer).endswith(PAGE)


def test_hush() -> None:
    """Who was connected before can still be accepted; who comes after is not told that it is connected, but refused in the end."""
    with closing(opened("127.0.0.1:0")) as listener, closing(connected(listener.getsockname()[1])) as before:
        hush(listener)
        with closing(socket.socket()) as after:
            after.setblocking(False)
            assert after.connect_ex(listener.getsockname()) == errno.EINPROGRESS
            accepted, name = listener.accept()
            accepted.close()
            with pytest.raises(BlockingIOError):
                listener.accept()
            listener.close()
            select.select([], [after], [], 10)

            assert name == before.getsockname()
            assert after.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
