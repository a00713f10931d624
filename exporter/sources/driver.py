"""One call to one driver's bridge; the only module that speaks py4j's protocol."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

from exporter.errors import Reason, SourceError
from exporter.sources.driver_folder import Connection
from exporter.streaming.events import Answer, BadAnswer, last_seq, read_answer

PAGE_BYTES = 1024 * 1024
MAX_PAGES = 256
# A whole call, connecting included.
CALL_SECONDS = 2.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
RECEIVE_BYTES = 256 * 1024

# One page: (epoch, after which sequence number, how many bytes of events at most) -> the answer's text.
Poll = Callable[[str, int, int], str | bytes]


def pages(poll: Poll, epoch: str, after: int) -> Iterator[Answer]:
    """The answers after a sequence number, until the ring says that there are no more.

    Raises SourceError, and so does what is asked: answers that were yielded before stand.
    """
    for _ in range(MAX_PAGES):
        try:
            answer = read_answer(poll(epoch, after, PAGE_BYTES))
        except BadAnswer as error:
            raise SourceError(Reason.BAD_ANSWER, str(error)) from error
        if answer.epoch != epoch:
            raise SourceError(Reason.BAD_ANSWER, "another ring answers than the connection file names")
        yield answer
        if not answer.more:
            return
        through = last_seq(answer)
        if through is None or through <= after:
            raise SourceError(Reason.BAD_ANSWER, "the ring says that there is more, and does not move on")
        after = through


class Line:
    """A connection to one bridge, opened at the first call, and again after a failure; used by one thread at a time.

    py4j's own GatewayConnection logs commands, and with them the token, takes half an answer for a whole one, and waits
    for ever for a peer that sends a byte now and then: hence the few lines of its protocol are spoken here.
    """

    def __init__(self, connection: Connection, seconds: float = CALL_SECONDS) -> None:
        self._connection = connection
        self._seconds = seconds
        self._open: socket.socket | None = None

    def poll(self, epoch: str, after: int, max_bytes: int) -> str:
        """One call of `poll` (docs/bridge.md); raises SourceError with what was wrong, never with the token."""
        from py4j import protocol

        arguments = "".join(protocol.get_command_part(argument) for argument in (epoch, after, max_bytes))
        command = f"{protocol.CALL_COMMAND_NAME}{protocol.ENTRY_POINT_OBJECT_ID}\npoll\n{arguments}{protocol.END_COMMAND_PART}"
        # A connection that the bridge closed for idleness fails at its next use, once: only then is a second try of use.
        fresh = self._open is None
        try:
            return self._called(command)
        except SourceError as error:
            if fresh or error.reason is not Reason.DISCONNECTED:
                raise
        return self._called(command)

    def close(self) -> None:
        """Ends the connection; a later call opens it again."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _called(self, command: str) -> str:
        from py4j import protocol

        limit = time.monotonic() + self._seconds
        try:
            answer = self._asked(self._open or self._connected(limit), command, limit)
            if not answer.startswith(protocol.SUCCESS + protocol.STRING_TYPE):
                raise self._failed(Reason.BAD_ANSWER, "the bridge refuses the call")
            return str(protocol.unescape_new_line(answer[2:]))
        except SourceError:
            self.close()
            raise
        except (OSError, UnicodeError) as error:
            self.close()
            reason = _reason(error)
            raise self._failed(reason, reason.value) from error

    def _connected(self, limit: float) -> socket.socket:
        from py4j import protocol

        self._open = opened = socket.create_connection(("127.0.0.1", self._connection.port), _left(limit))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = self._asked(opened, f"{protocol.AUTH_COMMAND_NAME}\n{self._connection.token.reveal()}\n", limit)
        if not answer.startswith(protocol.SUCCESS):
            raise self._failed(Reason.UNAUTHORIZED, "the bridge refuses the token")
        return opened

    def _asked(self, opened: socket.socket, command: str, limit: float) -> str:
        """Sends a command and reads the one line that answers it."""
        from py4j import protocol

        opened.settimeout(_left(limit))
        opened.sendall(command.encode())
        answer = bytearray()
        while not answer.endswith(b"\n"):
            opened.settimeout(_left(limit))
            received = opened.recv(RECEIVE_BYTES)
            if not received:
                raise self._failed(Reason.DISCONNECTED, "the bridge hung up")
            answer += received
            if len(answer) > MAX_ANSWER_BYTES:
                raise self._failed(Reason.BAD_ANSWER, f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        return answer[:-1].decode().removeprefix(protocol.RETURN_MESSAGE)

    def _failed(self, reason: Reason, what: str) -> SourceError:
        return SourceError(reason, f"driver {self._connection.app_id} at 127.0.0.1:{self._connection.port}: {what}")


def _left(limit: float) -> float:
    left = limit - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _reason(error: OSError | UnicodeError) -> Reason:
    if isinstance(error, UnicodeError):
        return Reason.BAD_ANSWER
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    return Reason.REFUSED if isinstance(error, ConnectionRefusedError) else Reason.DISCONNECTED
