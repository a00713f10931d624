"""How fast a service may be asked, and how long to leave it alone after it has refused; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timezone
from email.utils import parsedate_to_datetime

LONGEST_PAUSE = 60.0

_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True)
class Bucket:
    """A token bucket as it was at the moment `at`: `rate` tokens a second flow in, up to `burst`.

    Below 0 are tokens that were taken before they were there, by those who wait for them.
    """

    rate: float
    burst: float
    tokens: float
    at: float

    def filled(self, now: float) -> Bucket:
        """The bucket later on."""
        return replace(self, tokens=min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate), at=now)

    def taken(self, now: float) -> Bucket:
        """The bucket without one token more."""
        filled = self.filled(now)
        return replace(filled, tokens=filled.tokens - 1)

    @property
    def wait(self) -> float:
        """Seconds until the token that was taken last is there."""
        return max(0.0, -self.tokens / self.rate)


def retry_after(text: str, now: float) -> float | None:
    """Seconds that a Retry-After header asks for, at most LONGEST_PAUSE; None where it says nothing.

    It holds seconds or a date (RFC 9110, 10.2.3); `now` is in seconds since 1970.
    """
    if _SECONDS.fullmatch(text):
        return min(LONGEST_PAUSE, float(text))
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # a date in "-0000"
            moment = moment.replace(tzinfo=timezone.utc)
        return min(LONGEST_PAUSE, max(0.0, moment.timestamp() - now))
    except (ValueError, OverflowError):
        return None


def backoff(attempt: int, chance: float) -> float:
    """Seconds to wait after so many failures (1, 2, …): doubled each time, between half of it and all of it by chance."""
    return min(LONGEST_PAUSE, 2.0 ** min(attempt - 1, 10)) * (0.5 + chance / 2)
