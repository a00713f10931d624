"""Quartz's cron expressions, in which Databricks tells schedules, and when they are due; pure, and answers as Quartz does.

What is due is what CronExpression.getNextValidTimeAfter of Quartz 2.3.2 and 2.4.0 says from one due time to the next. An
expression of which Quartz reads a part and passes over the rest (`MON-FRI/2`, `15W,20`) is refused.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import product
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class DaysOfMonth(NamedTuple):
    """Days by their number or, with `from_end`, by how far they are before the last day, each moved to the nearest weekday."""

    numbers: tuple[int, ...]
    from_end: bool = False
    nearest_weekday: bool = False


class DaysOfWeek(NamedTuple):
    """Days by their name, Sunday is 1: all of them, or the `nth` of each month alone, where -1 is the last."""

    numbers: tuple[int, ...]
    nth: int | None = None


class Schedule(NamedTuple):
    """One expression, read; numbers are in order."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: DaysOfMonth | DaysOfWeek
    months: tuple[int, ...]
    years: tuple[int, ...]


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    names: Mapping[str, int] = MappingProxyType({})


SUNDAY, SATURDAY = 1, 7

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_SECOND = _Field("seconds", 0, 59)
_MINUTE = _Field("minutes", 0, 59)
_HOUR = _Field("hours", 0, 23)
_DAY_OF_MONTH = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)})
_DAY_OF_WEEK = _Field("day of week", SUNDAY, SATURDAY, {name: number for number, name in enumerate(_WEEKDAYS, SUNDAY)})
_YEAR = _Field("year", 1970, 2199)

_FARTHEST_FROM_END = 30
_MOST_WEEKS = 5

_PART = re.compile(r"(?:(?P<all>\*)|(?P<start>\w+)(?:-(?P<end>\w+))?)?(?:/(?P<step>[0-9]{1,4}))?")
_NUMBER = re.compile("[0-9]{1,4}")
_FROM_END = re.compile("L(?:-([0-9]{1,2}))?(W?)")
_NEAREST = re.compile("([0-9]{1,2})W")
_NTH = re.compile(r"(\w+)#([0-9])")
_LAST = re.compile(r"(\w+)L")

_OFFSET = re.compile("(?:GMT|UTC?)([+-])([0-9]{1,2})(?::?([0-9]{2}))?")

# Names that Java knows (java.time.ZoneId.SHORT_IDS) and the zone database does not, or not so.
_SHORT_ZONES = {
    "ACT": "Australia/Darwin",
    "AET": "Australia/Sydney",
    "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo",
    "AST": "America/Anchorage",
    "BET": "America/Sao_Paulo",
    "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare",
    "CNT": "America/St_Johns",
    "CST": "America/Chicago",
    "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa",
    "ECT": "Europe/Paris",
    "IET": "America/Indiana/Indianapolis",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "MIT": "Pacific/Apia",
    "NET": "Asia/Yerevan",
    "NST": "Pacific/Auckland",
    "PLT": "Asia/Karachi",
    "PNT": "America/Phoenix",
    "PRT": "America/Puerto_Rico",
    "PST": "America/Los_Angeles",
    "SST": "Pacific/Guadalcanal",
    "VST": "Asia/Ho_Chi_Minh",
}


def parsed(expression: str) -> Schedule:
    """The schedule that `expression` tells, six or seven fields in Quartz's order; ValueError names field and mistake."""
    fields = expression.upper().split()
    if len(fields) not in {6, 7}:
        raise ValueError(f"{len(fields)} fields, where a Quartz expression has 6 or 7")
    seconds, minutes, hours, month_days, months, weekdays, *years = fields
    if (month_days == "?") == (weekdays == "?"):
        raise ValueError("day of month and day of week: exactly one of them has to be '?'")
    return Schedule(
        _numbers(seconds, _SECOND),
        _numbers(minutes, _MINUTE),
        _numbers(hours, _HOUR),
        _days_of_month(month_days) if weekdays == "?" else _days_of_week(weekdays),
        _numbers(months, _MONTH),
        _numbers(years[0] if years else "*", _YEAR),
    )


def time_zone(timezone_id: str) -> tzinfo:
    """The zone that Java knows as `timezone_id`: a name of the zone database, a short one, `GMT+2`; else ValueError."""
    offset = _OFFSET.fullmatch(timezone_id)
    try:
        if offset:
            ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
            return timezone(-ahead if offset[1] == "-" else ahead)
        return ZoneInfo(_SHORT_ZONES.get(timezone_id, timezone_id))
    # Not found; no name at all, or a day and more ahead; the name of a folder of zones.
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {timezone_id!r}") from error


def due_after(schedule: Schedule, zone: tzinfo, after: float) -> float | None:
    """The first due time later than `after`, both in seconds since 1970; None when the schedule is never due again."""
    return next(due_between(schedule, zone, after, float("inf")), None)


def due_between(schedule: Schedule, zone: tzinfo, after: float, until: float) -> Iterator[float]:
    """Due times later than `after`, up to and with `until`, in order and made as they are asked for; seconds since 1970.

    A time that the clocks leave out is not due, and nothing is due in its place. One that they show twice is due once, the
    second time: what is due every minute pauses for the hour that comes again.
    """
    local = datetime.fromtimestamp(after, zone)
    # Within the first of two equal hours, what is due in the second lies ahead, and the clock shows it as past.
    again = timedelta(seconds=local.replace(fold=1).timestamp() - local.timestamp())
    for wall in _walls(schedule, local.replace(tzinfo=None, fold=0) - again):
        first, second = (wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
        if second > until:
            return
        if first <= second and second > after:
            yield second


def is_repeated(zone: tzinfo, at: float) -> bool:
    """Whether the clocks of `zone` show the time of `at`, seconds since 1970, twice on that day."""
    local = datetime.fromtimestamp(at, zone)
    return local.replace(fold=0).timestamp() != local.replace(fold=1).timestamp()


def _walls(schedule: Schedule, begin: datetime) -> Iterator[datetime]:
    """What the clocks show when the schedule is due, from `begin` on, as if no clock was ever set."""
    floor = begin.timetuple()[:6]
    years = (year for year in schedule.years if year >= begin.year)
    for year, month in product(years, schedule.months):
        if (year, month) < floor[:2]:
            continue
        for day in _days(schedule.days, year, month):
            if (year, month, day) < floor[:3]:
                continue
            for hour in schedule.hours:
                if (year, month, day, hour) < floor[:4]:
                    continue
                for minute in schedule.minutes:
                    if (year, month, day, hour, minute) < floor[:5]:
                        continue
                    for second in schedule.seconds:
                        yield datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - a clock shows no zone


def _days(days: DaysOfMonth | DaysOfWeek, year: int, month: int) -> list[int]:
    """The days of one month that are meant, in order."""
    first, last = monthrange(year, month)
    if isinstance(days, DaysOfMonth):
        meant = sorted(last - number if days.from_end else number for number in days.numbers)
        if days.nearest_weekday:
            meant = [_nearest_weekday(day, first, last) for day in meant]
        return [day for day in meant if 1 <= day <= last]
    meant = [day for day in range(1, last + 1) if _weekday(day, first) in days.numbers]
    if days.nth is None:
        return meant
    if days.nth < 0:
        return meant[-1:]
    return meant[days.nth - 1 : days.nth]


def _nearest_weekday(day: int, first: int, last: int) -> int:
    """The weekday next to `day` that is of its month.

    A day after the month's last is moved as if it was there, as Quartz does: `31W` is due on the 30th when that is a Friday.
    """
    weekday = _weekday(day, first)
    if weekday == SATURDAY:
        return day + 2 if day == 1 else day - 1
    if weekday == SUNDAY:
        return day - 2 if day == last else day + 1
    return day


def _weekday(day: int, first: int) -> int:
    """The number of a day's name, Sunday is 1, where `first` is that of the month's first day, Monday is 0."""
    return (first + day) % 7 + 1


def _days_of_month(text: str) -> DaysOfMonth:
    from_end = _FROM_END.fullmatch(text)
    if from_end:
        before = int(from_end[1] or 0)
        if before > _FARTHEST_FROM_END:
            raise ValueError(f"day of month: {text!r} is more than {_FARTHEST_FROM_END} days before the last")
        return DaysOfMonth((before,), from_end=True, nearest_weekday=bool(from_end[2]))
    nearest = _NEAREST.fullmatch(text)
    if nearest:
        return DaysOfMonth((_number(nearest[1], _DAY_OF_MONTH),), nearest_weekday=True)
    return DaysOfMonth(_numbers(text, _DAY_OF_MONTH))


def _days_of_week(text: str) -> DaysOfWeek:
    if text == "L":
        return DaysOfWeek((SATURDAY,))
    last = _LAST.fullmatch(text)
    if last:
        return DaysOfWeek((_number(last[1], _DAY_OF_WEEK),), nth=-1)
    nth = _NTH.fullmatch(text)
    if nth:
        if not 1 <= int(nth[2]) <= _MOST_WEEKS:
            raise ValueError(f"day of week: {text!r} asks for another than the first to fifth of a month")
        return DaysOfWeek((_number(nth[1], _DAY_OF_WEEK),), nth=int(nth[2]))
    return DaysOfWeek(_numbers(text, _DAY_OF_WEEK))


def _numbers(text: str, field: _Field) -> tuple[int, ...]:
    """The numbers of a list of single ones, ranges and steps, in order; a range may lead over the end to the beginning."""
    numbers = {number for part in text.split(",") if part for number in _part(part, field)}
    if not numbers:
        raise ValueError(f"{field.name}: nothing is between the commas of {text!r}")
    return tuple(sorted(numbers))


def _part(text: str, field: _Field) -> Iterator[int]:
    part = _PART.fullmatch(text)
    if not part:
        raise ValueError(f"{field.name}: {text!r} is no number, range or step")
    step = _step(part, field)
    start = _number(part["start"], field) if part["start"] else field.least
    end = start if part["start"] and step is None else field.most
    if part["end"]:
        end = _number(part["end"], field)
        if end < start and field is _YEAR:
            raise ValueError(f"year: {text!r} ends before it begins")
    size = field.most - field.least + 1
    span = range(start, end + size + 1 if end < start else end + 1, step or 1)
    return (field.least + (number - field.least) % size for number in span)


def _step(part: re.Match[str], field: _Field) -> int | None:
    if part["step"] is None:
        return None
    step = int(part["step"])
    # Quartz has no bound for the step of a range.
    if step < 1 or (step > field.most and not part["end"]):
        raise ValueError(f"{field.name}: {part[0]!r} has a step that is not within 1-{field.most}")
    if part["start"] in field.names:
        raise ValueError(f"{field.name}: {part[0]!r} has a step after a name, which Quartz passes over")
    return step


def _number(text: str, field: _Field) -> int:
    number = field.names.get(text, int(text) if _NUMBER.fullmatch(text) else None)
    if number is None:
        raise ValueError(f"{field.name}: {text!r} is no number{' or name' if field.names else ''}")
    if not field.least <= number <= field.most:
        raise ValueError(f"{field.name}: {text} is not within {field.least}-{field.most}")
    return number
