"""What a version key of Databricks' runtime says, and whether that runtime is still supported; holds the one table of dates."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from typing import NamedTuple


class Runtime(NamedTuple):
    """One release: `version` is `15.4`, from 18 on `18`; `variant` is `photon`, `gpu-ml`, `aarch64-photon`, or empty."""

    version: str
    variant: str


# From "Databricks Runtime release notes versions and compatibility" (docs.databricks.com/release-notes/runtime), read in
# November 2026, and from its older copies where a release has left it; None is support whose end is not set yet.
END_OF_SUPPORT: dict[str, date | None] = {
    "9.1": date(2024, 9, 23),
    "10.4": date(2025, 3, 18),
    "11.3": date(2025, 10, 19),
    "12.2": date(2026, 3, 1),
    "13.3": date(2026, 8, 22),
    "14.3": date(2027, 2, 1),
    "15.4": date(2027, 8, 19),
    "16.4": date(2028, 5, 9),
    "17.0": date(2025, 12, 23),
    "17.1": date(2026, 2, 1),
    "17.2": date(2026, 3, 26),
    "17.3": date(2028, 10, 22),
    "18.0": date(2026, 6, 9),
    "18": date(2029, 6, 10),
    "19": None,
}
# Of these the table has all that were supported when it was read: what is missing was not, for none lasts but an LTS.
_LAST_WITH_MINORS = 17

_KEY = re.compile(r"v?([0-9]{1,3}(?:\.[0-9]{1,3})?)\.x(?:-([a-z0-9]+(?:-[a-z0-9]+)*))?-scala[0-9]+\.[0-9]+")


def runtime(spark_version: str) -> Runtime | None:
    """The release that a cluster's `spark_version` names; None where it names none of Databricks' releases for clusters.

    That is an image of one's own (`custom:`), a pipeline's runtime, which Databricks renews by itself (`dlt:`), and
    Databricks Light (`apache-spark-`).
    """
    key = _KEY.fullmatch(spark_version)
    return Runtime(key[1], key[2] or "") if key else None


def is_supported(release: Runtime | None, now: float) -> bool | None:
    """Whether `release` is supported at `now`, seconds since 1970; its last day counts in UTC. None: not known here."""
    if release is None:
        return None
    if release.version not in END_OF_SUPPORT:
        return False if _is_minor_of_the_past(release.version) else None
    end = END_OF_SUPPORT[release.version]
    return end is None or datetime.fromtimestamp(now, timezone.utc).date() <= end


def _is_minor_of_the_past(version: str) -> bool:
    major, _, minor = version.partition(".")
    return bool(minor) and int(major) <= _LAST_WITH_MINORS
