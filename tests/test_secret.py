"""exporter/secret.py"""

import copy
import logging
import pickle

import pytest

from exporter.secret import Secret

TOKEN = "dapi0123456789"


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{!r}".format, "%s".__mod__, "%r".__mod__])
def test_shown(shown: object) -> None:
    """However a secret is made text, the text is Secret('***')."""
    assert callable(shown)
    assert shown(Secret(TOKEN)) == "Secret('***')"


def test_inside() -> None:
    """A container of secrets shows asterisks, and a secret has no attributes to list."""
    assert repr([Secret(TOKEN)]) == "[Secret('***')]"
    assert not hasattr(Secret(TOKEN), "__dict__")


def test_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A secret that is logged by accident shows asterisks."""
    logging.getLogger("test").warning("token %s", Secret(TOKEN))

    assert caplog.messages == ["token Secret('***')"]


def test_pickled() -> None:
    """A pickle does not hold the text, nor does a copy: neither can be used by mistake for long."""
    assert TOKEN.encode() not in pickle.dumps(Secret(TOKEN))
    assert copy.copy(Secret(TOKEN)).reveal() == "***"


def test_reveal() -> None:
    """reveal() gives the text."""
    assert Secret(TOKEN).reveal() == TOKEN


def test_equal() -> None:
    """Secrets of one text are equal and hash alike; a text is no secret."""
    assert Secret(TOKEN) == Secret(TOKEN)
    assert hash(Secret(TOKEN)) == hash(Secret(TOKEN))
    assert Secret(TOKEN) != Secret("other")
    assert Secret(TOKEN) != TOKEN
