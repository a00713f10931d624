"""Reads one Databricks workspace, and never writes: the one place that decides when to ask, and when to ask again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources import databricks_answers
from exporter.sources.databricks_answers import Page
from exporter.sources.databricks_auth import Credentials
from exporter.sources.http import Endpoint, Headers, Http, Request, Response
from exporter.sources.pacing import Bucket, backoff, retry_after

RATE = 5.0
BURST = 10.0
CALL_SECONDS = 10.0
MAX_PAGES = 400
# Of a call that broke or was answered 5xx; 429 and 503 say themselves for how long, and are tried again until the deadline.
MAX_RETRIES = 2

Clock = Callable[[], float]
Parameters = Mapping[str, str | int | bool | Sequence[str]]
_T = TypeVar("_T")

_NOTHING: Mapping[str, str] = {}
_OK, _UNAUTHORIZED, _TOO_MANY_REQUESTS, _SERVER_ERROR, _UNAVAILABLE = 200, 401, 429, 500, 503


class Stop(Protocol):
    """Tells that the exporter stops: a threading.Event."""

    def wait(self, timeout: float) -> bool:
        """True as soon as it does; False when so many seconds have passed."""
        ...


@dataclass(frozen=True)
class Usage:
    """What a workspace was asked so far.

    `requests` counts by (endpoint's name, status; without an answer the reason instead), `bad_items` by endpoint's name the
    items of listings that could not be read. `throttled_seconds` were waited because the workspace asked for it,
    `paced_seconds` for tokens of our own bucket, which holds `tokens` now; for `pause_seconds` more it is left alone.
    """

    requests: Mapping[tuple[str, str], int]
    bad_items: Mapping[str, int]
    throttled_seconds: float
    paced_seconds: float
    tokens: float
    pause_seconds: float


class Workspace:
    """One workspace, for any number of threads; they share its budget of calls and what it said of being asked too often.

    Every method takes the deadline of the whole operation, a moment of the monotonic clock; each call has its own, sooner.
    """

    def __init__(
        self,
        http: Http,
        credentials: Credentials,
        stop: Stop,
        *,
        rate: float = RATE,
        burst: float = BURST,
        call_seconds: float = CALL_SECONDS,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
        chance: Clock = random.random,
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._stop = stop
        self._call_seconds = call_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        self._lock = threading.Lock()
        self._bucket = Bucket(rate, burst, burst, monotonic())
        self._not_before = monotonic()
        self._throttled = 0.0
        self._paced = 0.0
        self._bad_items: Counter[str] = Counter()

    def get(
        self,
        endpoint: Endpoint,
        type: type[_T],
        deadline: float,
        *,
        ids: Mapping[str, str] = _NOTHING,
        parameters: Parameters = _NOTHING,
    ) -> _T:
        """One answer as a value of `type` (see databricks_answers.value); raises SourceError.

        `parameters` are the query, or the body of a POST.
        """
        response = self._answered(endpoint, ids, parameters, deadline)
        return databricks_answers.value(self._what(endpoint), response, type)

    def pages(
        self,
        endpoint: Endpoint,
        type: type[_T],
        items: str,
        deadline: float,
        *,
        ids: Mapping[str, str] = _NOTHING,
        parameters: Parameters = _NOTHING,
        max_pages: int = MAX_PAGES,
    ) -> Iterator[Page[_T]]:
        """The pages of a listing, each asked for when it is wanted; `items` is the member that holds the list.

        Raises SourceError: pages that were yielded before stand, and are not all.
        """
        what = self._what(endpoint)
        decoder = msgspec.json.Decoder(type, strict=False)
        asked = dict(parameters)
        seen = set()
        for _ in range(max_pages):
            page = databricks_answers.page(what, self._answered(endpoint, ids, asked, deadline), items, decoder)
            with self._lock:
                self._bad_items[endpoint.name] += page.bad
            yield page
            if not page.next_token:
                return
            if page.next_token in seen:
                raise SourceError(Reason.BAD_ANSWER, f"{what}: it gives a page token for the second time")
            seen.add(page.next_token)
            asked["page_token"] = page.next_token
        raise SourceError(Reason.BAD_ANSWER, f"{what}: more than {max_pages} pages")

    def usage(self) -> Usage:
        """What was asked so far, and what may be asked now."""
        requests = self._http.counts()
        with self._lock:
            now = self._monotonic()
            return Usage(
                requests=requests,
                bad_items={name: count for name, count in self._bad_items.items() if count},
                throttled_seconds=self._throttled,
                paced_seconds=self._paced,
                tokens=max(0.0, self._bucket.filled(now).tokens),
                pause_seconds=max(0.0, self._not_before - now),
            )

    def close(self) -> None:
        """Ends what is under way at once."""
        self._http.close()

    def _answered(self, endpoint: Endpoint, ids: Mapping[str, str], parameters: Parameters, deadline: float) -> Response:
        """The answer 200, after as many tries as it takes, is worth, and finds room before the deadline."""
        what = self._what(endpoint)
        failures = 0
        renewed = False
        while True:
            self._await_turn(what, deadline)
            limit = min(deadline, self._monotonic() + self._call_seconds)
            headers = self._credentials.headers(limit)
            asked, limited = 0.0, False
            try:
                response = self._http.send(_request(endpoint, ids, parameters, headers), limit)
            except SourceError as error:
                # A connection that was kept alive too long breaks at its next use; what hangs has used its time up.
                failure, again = error, error.reason is Reason.DISCONNECTED and failures < MAX_RETRIES
            else:
                if response.status == _OK:
                    return response
                failure = databricks_answers.refusal(what, response, _secrets(headers))
                if response.status == _UNAUTHORIZED and not renewed:
                    renewed = True
                    if self._credentials.headers(limit, headers) != headers:
                        continue
                limited = response.status in {_TOO_MANY_REQUESTS, _UNAVAILABLE}
                again = limited or (response.status >= _SERVER_ERROR and failures < MAX_RETRIES)
                asked = self._asked_pause(response)
            failures += 1
            pause = max(asked, backoff(failures, self._chance()))
            if limited:
                self._leave_alone(pause)
            if not again or self._monotonic() + pause >= deadline:
                raise failure
            if not limited:
                self._sleep(what, pause)

    def _asked_pause(self, response: Response) -> float:
        """Seconds that an answer asks for, and up to one more, lest all that were refused come back at once."""
        asked = retry_after(response.headers.get("retry-after", ""), self._clock())
        return 0.0 if asked is None else asked + self._chance()

    def _leave_alone(self, seconds: float) -> None:
        """Lets nobody ask for a while: what refused this call would refuse the others."""
        with self._lock:
            self._not_before = max(self._not_before, self._monotonic() + seconds)

    def _await_turn(self, what: str, deadline: float) -> None:
        """Takes a token of the budget, and waits until it may be used; raises SourceError where that is too late."""
        with self._lock:
            now = self._monotonic()
            bucket = self._bucket.taken(now)
            throttled = max(0.0, self._not_before - now)
            seconds = max(throttled, bucket.wait)
            if seconds > 0 and now + seconds >= deadline:
                why = "it asked to be left alone" if throttled > 0 else "our own budget of calls is used up"
                raise SourceError(Reason.THROTTLED, f"{what}: {why} for {seconds:.3g} s more, and the deadline is sooner")
            self._bucket = bucket
            self._throttled += throttled
            self._paced += seconds - throttled
        self._sleep(what, seconds)

    def _sleep(self, what: str, seconds: float) -> None:
        if seconds > 0 and self._stop.wait(seconds):
            raise SourceError(Reason.DISCONNECTED, f"{what}: the exporter stops")

    def _what(self, endpoint: Endpoint) -> str:
        return f"{self._http.name}: {endpoint.method} {endpoint.path}"


def _request(endpoint: Endpoint, ids: Mapping[str, str], parameters: Parameters, headers: Headers) -> Request:
    if endpoint.method == "POST":
        return Request(endpoint, ids, headers=headers, body=Secret(msgspec.json.encode(parameters).decode()))
    pairs = ((name, text) for name, value in parameters.items() for text in _texts(value))
    return Request(endpoint, ids, tuple(pairs), headers)


def _texts(value: str | int | bool | Sequence[str]) -> Sequence[str]:  # noqa: FBT001 -- a value like the others
    """A parameter as Databricks reads it: booleans in small letters, the parameter repeated for a list."""
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (str(value),) if isinstance(value, str | int) else value


def _secrets(headers: Headers) -> list[Secret]:
    """The headers' values, and without the scheme before them."""
    return [Secret(text) for value in headers.values() for text in {value.reveal(), value.reveal().rpartition(" ")[2]}]
