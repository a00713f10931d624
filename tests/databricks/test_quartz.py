"""Claims on when a Quartz expression is due: what Quartz itself said of some 800 of them, first."""

import json
import time
from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.databricks.quartz import due_after, due_between, is_repeated, parsed, time_zone

GOLDEN = json.loads((Path(__file__).parent.parent / "records" / "quartz" / "golden.json").read_bytes())
FOREVER = float("inf")

# The nights on which the clocks of the recorded zones change, a leap day, and the turn of a year.
NIGHTS = (
    "2026-03-08",
    "2026-03-29",
    "2026-04-05",
    "2026-04-24",
    "2026-10-04",
    "2026-10-25",
    "2026-11-01",
    "2026-12-31",
    "2028-02-29",
)


def at(text: str) -> float:
    """Seconds since 1970 of an ISO time with its offset."""
    return datetime.fromisoformat(text).timestamp()


def due(expression: str, zone: str, after: str, number: int) -> list[str]:
    """The next due times as the zone's clocks and offsets show them."""
    place = time_zone(zone)
    times = islice(due_between(parsed(expression), place, at(after), FOREVER), number)
    return [datetime.fromtimestamp(time, place).isoformat() for time in times]


def test_what_is_due_is_what_quartz_says() -> None:
    wrong = []
    for expression, zone, after, times, answers in GOLDEN["due"]:
        schedule, place = parsed(expression), time_zone(zone)
        told: list[float] = []
        while len(told) < times and (following := due_after(schedule, place, told[-1] if told else after)) is not None:
            told.append(following)
        if told != answers:
            wrong.append((expression, zone, after))

    assert len(GOLDEN["due"]) > 800
    assert wrong == []


def test_a_time_that_the_clocks_leave_out_is_not_due_and_nothing_is_in_its_place() -> None:
    assert due("0 30 2 * * ?", "America/New_York", "2026-03-07T00:00:00-05:00", 2) == [
        "2026-03-07T02:30:00-05:00",
        "2026-03-09T02:30:00-04:00",
    ]


def test_a_time_that_the_clocks_show_twice_is_due_the_second_time_alone() -> None:
    assert due("0 0/30 * * * ?", "America/New_York", "2026-11-01T00:00:00-04:00", 4) == [
        "2026-11-01T00:30:00-04:00",
        "2026-11-01T01:00:00-05:00",
        "2026-11-01T01:30:00-05:00",
        "2026-11-01T02:00:00-05:00",
    ]


def test_asked_within_the_first_of_two_equal_hours_all_that_is_due_in_the_second_lies_ahead() -> None:
    assert due("0 0/30 1 * * ?", "America/New_York", "2026-11-01T01:45:00-04:00", 2) == [
        "2026-11-01T01:00:00-05:00",
        "2026-11-01T01:30:00-05:00",
    ]
    assert due("0 0/30 1 * * ?", "America/New_York", "2026-11-01T01:00:00-05:00", 1) == ["2026-11-01T01:30:00-05:00"]


def test_both_equal_hours_are_known_as_such_and_no_other() -> None:
    place = time_zone("Europe/Berlin")
    times = ("01:59:59+02:00", "02:00:00+02:00", "02:59:59+02:00", "02:00:00+01:00", "02:59:59+01:00", "03:00:00+01:00")

    assert [is_repeated(place, at(f"2026-10-25T{text}")) for text in times] == [False, True, True, True, True, False]
    assert not is_repeated(place, at("2026-03-29T03:00:00+02:00"))


@given(
    st.sampled_from([case[:2] for case in GOLDEN["due"]]),
    st.sampled_from(NIGHTS),
    st.lists(st.integers(0, 86_400), min_size=3, max_size=3).map(sorted),
)
@example(["0 45 1 ? * *", "America/New_York"], "2026-11-01", [0, 21_000, 86_400])
def test_what_is_due_in_two_spans_that_meet_is_due_in_the_whole(case: list[str], night: str, spans: list[int]) -> None:
    schedule, place = parsed(case[0]), time_zone(case[1])
    begin, middle, end = (at(f"{night}T00:00:00+00:00") + seconds for seconds in spans)
    whole = list(islice(due_between(schedule, place, begin, end), 4_000))
    halves = [*due_between(schedule, place, begin, middle), *due_between(schedule, place, middle, end)]

    assert halves[:4_000] == whole
    assert all(begin < moment <= end for moment in whole)
    assert whole == sorted(set(whole))


def test_the_end_of_a_span_belongs_to_it_and_its_beginning_does_not() -> None:
    noon = at("2026-08-15T12:00:00+00:00")
    schedule, utc = parsed("0 0 12 * * ?"), time_zone("UTC")

    assert list(due_between(schedule, utc, noon - 1, noon)) == [noon]
    assert list(due_between(schedule, utc, noon, noon + 1)) == []
    assert list(due_between(schedule, utc, noon - 0.25, noon)) == [noon]


@pytest.mark.parametrize("expression", ["* * * 30 2 ?", "* * * 31 4,6,9,11 ?", "* * * 29 2 ? 2026,2027", "* * * ? * 2#1 1999"])
def test_what_is_never_due_is_told_at_once(expression: str) -> None:
    began = time.perf_counter()

    assert due_after(parsed(expression), time_zone("Europe/Berlin"), at("2026-01-01T00:00:00+00:00")) is None
    assert time.perf_counter() - began < 1


def test_a_year_of_seconds_is_made_as_it_is_asked_for() -> None:
    began = time.perf_counter()
    year = due_between(
        parsed("* * * * * ?"), time_zone("UTC"), at("2026-01-01T00:00:00+00:00"), at("2027-01-01T00:00:00+00:00")
    )

    assert list(islice(year, 3)) == [at(f"2026-01-01T00:00:0{second}+00:00") for second in (1, 2, 3)]
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("expression", GOLDEN["refused"])
def test_what_quartz_refuses_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"^[0-9a-z][0-9A-Za-z '?@#/,:-]+$"):
        parsed(expression)


REFUSED = {
    "0 0 6 * *": "5 fields, where a Quartz expression has 6 or 7",
    "0 0 6 * * ? * *": "8 fields, where a Quartz expression has 6 or 7",
    "0 0 6 * * *": "day of month and day of week: exactly one of them has to be '?'",
    "60 0 6 * * ?": "seconds: 60 is not within 0-59",
    "0 a 6 * * ?": "minutes: 'A' is no number",
    "0 0 9-25 * * ?": "hours: 25 is not within 0-23",
    "0 0 9- * * ?": "hours: '9-' is no number, range or step",
    "0 0 6 32W * ?": "day of month: 32 is not within 1-31",
    "0 0 6 L-31 * ?": "day of month: 'L-31' is more than 30 days before the last",
    "0 0 6 1 FOO ?": "month: 'FOO' is no number or name",
    "0 0 6 , * ?": "day of month: nothing is between the commas of ','",
    "0 0 6 ? * 2#6": "day of week: '2#6' asks for another than the first to fifth of a month",
    "0 0 6 ? * XL": "day of week: 'X' is no number or name",
    "0 0/60 6 * * ?": "minutes: '0/60' has a step that is not within 1-59",
    "0 0 6 * * ? 2030-2020": "year: '2030-2020' ends before it begins",
    "0 0 6 * * ? 2300": "year: 2300 is not within 1970-2199",
    # Quartz takes these, and does something else than they say.
    "0 */0 6 * * ?": "minutes: '*/0' has a step that is not within 1-59",
    "0 0 6 ? * MON-FRI/2": "day of week: 'MON-FRI/2' has a step after a name, which Quartz passes over",
    "0 0 6 ? * MONDAY": "day of week: 'MONDAY' is no number or name",
    "0 0 6 15W,20 * ?": "day of month: '15W' is no number",
    "0 0 6 ? * 2#1,3": "day of week: '2#1' is no number, range or step",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_a_mistake_is_told_with_the_field_it_is_in(expression: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole text is compared below
        parsed(expression)

    assert str(error.value) == REFUSED[expression]


@given(st.text("0123456789*/,-?LW# MONFRIJAN²", max_size=40))
def test_no_text_does_anything_but_be_read_or_be_refused(text: str) -> None:
    try:
        schedule = parsed(text)
    except ValueError:
        return
    following = due_after(schedule, time_zone("Europe/Berlin"), at("2026-01-01T00:00:00+00:00"))

    assert following is None or following > at("2026-01-01T00:00:00+00:00")


def offset(zone: str, when: str) -> object:
    if zone[0] in "+-":
        zone = f"GMT{zone}"
    return datetime.fromisoformat(when).replace(tzinfo=time_zone(zone)).utcoffset()


@pytest.mark.parametrize("short", GOLDEN["short_zones"])
def test_javas_short_names_of_zones_mean_what_they_mean_in_java(short: str) -> None:
    meant = GOLDEN["short_zones"][short]

    for when in ("2026-01-15", "2026-07-15"):
        assert offset(short, when) == offset(meant, when)


def test_an_offset_is_a_zone() -> None:
    assert due("0 0 6 * * ?", "GMT+5:30", "2026-01-01T00:00:00+00:00", 1) == ["2026-01-01T06:00:00+05:30"]
    assert due("0 0 6 * * ?", "GMT-3", "2026-01-01T00:00:00+00:00", 1) == ["2026-01-01T06:00:00-03:00"]


@pytest.mark.parametrize("name", ["", "Europe", "Europe/Berlim", "../../etc/passwd", "/etc/passwd", "GMT+99", "Ber\0lin"])
def test_a_zone_that_is_none_is_named(name: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole text is compared below
        time_zone(name)

    assert str(error.value) == f"unknown time zone {name!r}"
