"""exporter/errors.py"""

from exporter.errors import ConfigError, ExporterError, Reason, SourceError, StorageError


def test_tree() -> None:
    """Every error is an ExporterError, and none of them another's."""
    assert [error.__bases__ for error in (ConfigError, SourceError, StorageError)] == [(ExporterError,)] * 3


def test_config_error() -> None:
    """All problems of the settings are told, a line each."""
    error = ConfigError(("a: no", "b: no"))

    assert str(error) == "a: no\nb: no"
    assert error.problems == ("a: no", "b: no")


def test_source_error() -> None:
    """A source's error carries its reason beside the text."""
    error = SourceError(Reason.TIMEOUT, "driver a: no answer")

    assert (error.reason, str(error)) == (Reason.TIMEOUT, "driver a: no answer")


def test_reasons() -> None:
    """Reasons are label values: a closed set of words in small letters."""
    assert [reason.value for reason in Reason] == [
        "refused",
        "unreachable",
        "tls",
        "timeout",
        "unauthorized",
        "forbidden",
        "not_found",
        "throttled",
        "server_error",
        "disconnected",
        "bad_answer",
        "unreadable",
        "storage",
        "internal",
    ]
