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


def test_parameters() -> None:
    """What resources read of a query is kept in order, as often as it was given; all else is for nobody."""
    found = wanted("", "", "target=b&x=1&target=a%20c&cluster_id=&kind=drivers&name[]=n&Target=z")

    assert found.parameters == (("target", "b"), ("target", "a c"), ("cluster_id", ""), ("kind", "drivers"))
    assert (found.values("target"), found.values("cluster_id"), found.values("x")) == (("b", "a c"), ("",), ())


def test_form() -> None:
    """A page's form is what is wanted without parameters and host."""
    found = wanted("application/openmetrics-text", "gzip", "name[]=n&target=a", "example.com")

    assert found == Wanted(True, True, ("n",), (("target", "a"),), "example.com")
    assert found.form == Wanted(True, True, ("n",))


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("exporter", True),
        ("exporter.example.com:10071", True),
        ("my_exporter-1:443", True),
        ("127.0.0.1:10071", True),
        ("[::1]:10071", True),
        ("[2001:db8::10.0.0.1]", True),
        ("", False),
        ("exporter:", False),
        ("exporter:http", False),
        ("exporter:123456", False),
        ("exporter:٣", False),
        ("exporter/path", False),
        ("user@exporter", False),
        ("exporter, other", False),
        ("exporter\n", False),
        ("-exporter", False),
        ("::1", False),
        ("[fe80::1%25eth0]", False),
        ("é.example.com", False),
        ("a" * 253, True),
        ("a" * 254, False),
    ],
)
def test_host(host: str, kept: bool) -> None:  # noqa: FBT001 -- the same
    """A host is kept where it is a name or an address, with a port or without; else there is none."""
    assert wanted("", "", "", host).host == (host if kept else "")


def test_content_types() -> None:
    """The type of a page is one of two fixed texts."""
    assert [Wanted(form).content_type for form in (False, True)] == [TEXT, OPENMETRICS]


@given(st.text(max_size=200), st.text(max_size=100), st.text(max_size=200), st.text(max_size=50))
def test_anything(accept: str, encodings: str, query: str, host: str) -> None:
    """Whatever text stands there, something is wanted."""
    assert isinstance(wanted(accept, encodings, query, host), Wanted)
