"""The head of an answer, to bytes; the only place that writes HTTP."""

from __future__ import annotations

import http
import time
from collections.abc import Iterable
from email.utils import formatdate

from exporter.answer import Answer

CLOSE, KEEP = "Connection: close\r\n", "Connection: keep-alive\r\n"

_STATUS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nServer: lakehouse-exporter\r\nDate: ".encode()
    for status in http.HTTPStatus
}


class Heads:
    """Writes heads; the date is made anew once a second."""

    def __init__(self) -> None:
        self._date = (0, b"")

    def of(self, answer: Answer, headers: Iterable[tuple[str, str]], option: str) -> bytes:
        """The head of `answer`, with more `headers` and with what is to become of the connection."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = now, formatdate(now, usegmt=True).encode()
        extra = "".join([f"{name}: {value}\r\n" for name, value in (*answer.headers, *headers)])
        return b"".join(
            (
                _STATUS[answer.status],
                self._date[1],
                f"\r\nContent-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n{extra}{option}\r\n".encode(
                    "latin-1"
                ),
            )
        )
