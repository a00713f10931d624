"""The few shapes of Quartz schedules that the simulated jobs have, and when they fire; not a reader of expressions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from exporter.demo.workspace.world.sizes import MINUTE, SECOND

WORKDAYS = frozenset(range(5))
ALL_DAYS = frozenset(range(7))


@dataclass(frozen=True)
class Every:
    """Fires at second 0 of `minute`, `minute + minutes`, ... of each hour: `minutes` divides 60, `minute` is less than it.

    The zone's offset is a whole number of hours.
    """

    minutes: int
    minute: int
    zone: str

    @property
    def expression(self) -> str:
        """In Quartz's writing."""
        return f"0 {self.minute}/{self.minutes} * * * ?" if self.minutes < 60 else f"0 {self.minute} * * * ?"  # noqa: PLR2004

    def after(self, at_ms: int) -> int:
        """The first fire after this time, both in epoch milliseconds."""
        period = self.minutes * MINUTE
        offset = self.minute * MINUTE
        return (at_ms - offset) // period * period + period + offset


@dataclass(frozen=True)
class Daily:
    """Fires once on each of these weekdays (Monday is 0), at an hour that no clock change touches."""

    hour: int
    minute: int
    zone: str
    weekdays: frozenset[int] = ALL_DAYS

    @property
    def expression(self) -> str:
        """In Quartz's writing."""
        days = "* * ?" if self.weekdays == ALL_DAYS else "? * MON-FRI"
        return f"0 {self.minute} {self.hour} {days}"

    def after(self, at_ms: int) -> int:
        """The first fire after this time, both in epoch milliseconds."""
        zone = ZoneInfo(self.zone)
        day = datetime.fromtimestamp(at_ms / SECOND, timezone.utc).astimezone(zone).date()
        while True:
            fire = int(datetime(day.year, day.month, day.day, self.hour, self.minute, tzinfo=zone).timestamp() * SECOND)
            if fire > at_ms and day.weekday() in self.weekdays:
                return fire
            day += timedelta(days=1)


Schedule = Every | Daily
