"""Claims on what a runtime's version key says, and on which releases are still supported."""

from datetime import datetime

import pytest

from exporter.databricks.runtimes import END_OF_SUPPORT, Runtime, is_supported, runtime

KEYS = {
    "15.4.x-scala2.12": Runtime("15.4", ""),
    "17.3.x-photon-scala2.13": Runtime("17.3", "photon"),
    "13.3.x-cpu-ml-scala2.12": Runtime("13.3", "cpu-ml"),
    "16.4.x-gpu-ml-scala2.13": Runtime("16.4", "gpu-ml"),
    "14.3.x-aarch64-scala2.12": Runtime("14.3", "aarch64"),
    "15.4.x-aarch64-photon-scala2.12": Runtime("15.4", "aarch64-photon"),
    "6.4.x-esr-scala2.11": Runtime("6.4", "esr"),
    "18.x-scala2.13": Runtime("18", ""),
    "18.x-aarch64-photon-scala2.13": Runtime("18", "aarch64-photon"),
    "v18.x-scala2.13": Runtime("18", ""),
    # These name no release for clusters.
    "custom:custom-local__11.3.x-snapshot-cpu-ml-scala2.12__databricks-universe": None,
    "dlt:16.1-delta-pipelines-dlt-release-2026.20-rc0": None,
    "apache-spark-2.4.x-scala2.11": None,
    "client.1.13": None,
    "15.4": None,
    "": None,
}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_says_the_release_and_its_variant_or_nothing(key: str) -> None:
    assert runtime(key) == KEYS[key]


SUPPORTED = {
    ("15.4.x-scala2.12", "2026-11-22T00:00:00"): True,
    ("15.4.x-gpu-ml-scala2.12", "2027-08-19T23:59:59"): True,
    ("15.4.x-scala2.12", "2027-08-20T00:00:00"): False,
    ("13.3.x-photon-scala2.12", "2026-11-22T00:00:00"): False,
    ("18.x-scala2.13", "2026-11-22T00:00:00"): True,
    ("18.0.x-scala2.13", "2026-11-22T00:00:00"): False,
    # Until when is not set yet.
    ("19.x-scala2.13", "2026-11-22T00:00:00"): True,
    # No LTS, and gone before the table was made.
    ("16.2.x-scala2.12", "2026-11-22T00:00:00"): False,
    ("7.3.x-hls-scala2.12", "2026-11-22T00:00:00"): False,
    # After the table, beside it, or no release at all.
    ("20.x-scala2.13", "2026-11-22T00:00:00"): None,
    ("18.1.x-scala2.13", "2026-11-22T00:00:00"): None,
    ("17.x-scala2.13", "2026-11-22T00:00:00"): None,
    ("11.x-snapshot-aarch64-scala2.12", "2026-11-22T00:00:00"): None,
    ("dlt:16.1-delta-pipelines-dlt-release-2026.20-rc0", "2026-11-22T00:00:00"): None,
}


@pytest.mark.parametrize(("key", "when"), SUPPORTED)
def test_a_release_is_supported_up_to_its_last_day_and_unknown_where_the_table_says_nothing(key: str, when: str) -> None:
    now = datetime.fromisoformat(f"{when}+00:00").timestamp()

    assert is_supported(runtime(key), now) is SUPPORTED[key, when]


def test_the_table_is_in_order_of_releases() -> None:
    versions = [tuple(int(part) for part in version.split(".")) for version in END_OF_SUPPORT if version != "18"]

    assert versions == sorted(versions)
