"""exporter/negotiation.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.negotiation import OPENMETRICS, TEXT, Wanted, wanted

PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        (PROMETHEUS, True),
        ("application/openmetrics-text;version=1.0.0", True),
        ("application/openmetrics-text; version=0.0.1", True),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8; escaping=underscores", True),
        ('application/openmetrics-text;version="1.0.0"', True),
        ("text/plain;q=0, application/openmetrics-text;q=0.1, */*", True),
        ("", False),
        ("*/*", False),
        ("text/html,*/*;q=0.8", False),
        ("text/plain;version=0.0.4;q=0.5, application/openmetrics-text;version=1.0.0;q=0.3", False),
        ("application/openmetrics-text;q=0.3, text/*", False),
        ("application/openmetrics-text;q=0.3, */*;q=0.5", False),
        ("application/openmetrics-text;version=1.0.0;q=0", False),
        ("application/openmetrics-text;version=1.0.0;q=0.000", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;version=99.9.9", False),
        ("application/openmetrics-text;version=abc", False),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=-1", False),
        ("application/openmetrics-text;q=2", False),
        ("application/*", False),
    ],
)
def test_accept(accept: str, openmetrics: bool) -> None:  # noqa: FBT001 -- a parameter of pytest's
    """OpenMetrics is for who asks for a version of it that there is, and likes nothing plainer better."""
    assert wanted(accept, "", "") == Wanted(openmetrics=openmetrics)


@pytest.mark.parametrize(
    ("encodings", "gzip"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("*", True),
        ("identity;q=0.5, *;q=0.5", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("zstd, br", False),
        ("gzip;q=x", False),
    ],
)
def test_encoding(encodings: str, gzip: bool) -> None:  # noqa: FBT001 -- the same
    """Compression is for who takes it and does not like the bytes as they are better."""
    assert wanted("", encodings, "") == Wanted(gzip=gzip)


def test_names() -> None:
    """Each `name[]` is a name to filter by, whatever its order; other parts of the query are none."""
    assert wanted("", "", "name[]=b&x=1&name%5B%5D=a&name[]=b&name=c").names == ("a", "b")


def test_too_many_names() -> None:
    """A hundred names can be filtered by, no more; nor can a query have parts without end."""
    assert len(wanted("", "", "&".join(f"name[]=m{i}" for i in range(100))).names) == 100
    for query in ("&".join(f"name[]=m{i}" for i in range(101)), "&".join(["x=1"] * 201)):
        with pytest.raises(ValueError):  # noqa: PT011 -- the standard library's text is not ours
            wanted("", "", query)


def test_content_types() -> None:
    """The type of a page is one of two fixed texts."""
    assert [Wanted(form).content_type for form in (False, True)] == [TEXT, OPENMETRICS]


@given(st.text(max_size=200), st.text(max_size=100), st.text(max_size=200))
def test_anything(accept: str, encodings: str, query: str) -> None:
    """Whatever text stands there, something is wanted."""
    assert isinstance(wanted(accept, encodings, query), Wanted)
