"""What a Databricks workspace answered, as typed values or as the error that it is; pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote, quote_plus

import msgspec

from exporter import lenient_json
from exporter.errors import Reason, SourceError
from exporter.secret import Secret, redacted
from exporter.sources.http import Response

MAX_ITEMS = 10_000
MAX_MESSAGE = 200

_T = TypeVar("_T")


@dataclass(frozen=True)
class Page(Generic[_T]):
    """One page of a listing: its items that can be read, how many can't, and what was wrong with the first of those."""

    items: tuple[_T, ...]
    bad: int
    first_bad: str
    next_token: str


class _Error(msgspec.Struct):
    """The shapes of an error: REST 2.x, REST 1.2 and OAuth, SCIM."""

    error_code: Any = None
    message: Any = None
    error: Any = None
    error_description: Any = None
    detail: Any = None


def value(what: str, response: Response, type: type[_T]) -> _T:
    """The answer as a value of `type`, unknown fields left out, whole numbers also of texts; raises SourceError.

    Texts become numbers, booleans and null where the type wants one ("12", "true", "null"): Databricks writes 64-bit integers
    as either. A float may so come to be infinite or not a number.
    """
    try:
        return lenient_json.decode(msgspec.json.Decoder(type, strict=False), _document(what, response))
    except lenient_json.UNREADABLE as error:
        raise _bad(what, lenient_json.reason(error)) from None


def page(what: str, response: Response, items: str, decoder: msgspec.json.Decoder[_T]) -> Page[_T]:
    """One page, whose member `items` is the list, missing where it is empty; each item is read, and may fail, by itself.

    Raises SourceError where the page is none.
    """
    try:
        members = lenient_json.decode(_MEMBERS, _document(what, response))
        raws = lenient_json.decode(_LIST, bytes(members.get(items, b"null"))) or []
        token = lenient_json.decode(_TEXT, bytes(members.get("next_page_token", b"null"))) or ""
    except lenient_json.UNREADABLE as error:
        raise _bad(what, lenient_json.reason(error)) from None
    if len(raws) > MAX_ITEMS:
        raise _bad(what, f"a page of more than {MAX_ITEMS} items")
    good: list[_T] = []
    bad: list[str] = []
    for index, raw in enumerate(raws):
        try:
            good.append(lenient_json.decode(decoder, bytes(raw)))
        except lenient_json.UNREADABLE as error:
            bad.append(f"{items}[{index}]: {lenient_json.reason(error)}")
    return Page(tuple(good), len(bad), bad[0] if bad else "", token)


def refusal(what: str, response: Response, secrets: Iterable[Secret]) -> SourceError:
    """The error that an answer other than 200 is, with the service's own code and words, and without these secrets."""
    status = response.status
    if 300 <= status < 400:  # noqa: PLR2004 -- RFC 9110, 15.4
        return _bad(what, f"HTTP {status}: it sends us elsewhere, where we do not go: is this the workspace's own address?")
    if is_html(response) and status not in _REASONS and status < 500:  # noqa: PLR2004 -- RFC 9110, 15.6
        return _bad(what, f"HTTP {status}: {_HTML}")
    code, message = _told(response)
    reason = _REASONS.get(status, Reason.SERVER_ERROR if status >= 500 else Reason.BAD_ANSWER)  # noqa: PLR2004
    if code == "RESOURCE_DOES_NOT_EXIST":
        reason = Reason.NOT_FOUND
    hidden = tuple(secrets)
    parts = (f"HTTP {status}", _shown(code, hidden), _shown(message, hidden))
    return SourceError(reason, f"{what}: {': '.join(part for part in parts if part)}")


def is_html(response: Response) -> bool:
    """Whether a page for people is what came, as a login or a proxy shows it, often with status 200."""
    return "html" in response.headers.get("content-type", "").lower() or response.body[:64].lstrip()[:1] == b"<"


def _document(what: str, response: Response) -> bytes:
    if is_html(response):
        raise _bad(what, _HTML)
    return response.body.removeprefix(b"\xef\xbb\xbf")


def _told(response: Response) -> tuple[str, str]:
    """The service's code and message of an error; empty where there is none."""
    if is_html(response):
        return "", ""
    try:
        error = lenient_json.decode(_ERROR, response.body)
    except lenient_json.UNREADABLE:
        plain = _PLAIN.match(response.body.decode("utf-8", "replace")[: 4 * MAX_MESSAGE])
        return (plain[1], plain[2]) if plain else ("", "")
    texts = (error.message, error.error_description, error.detail, error.error)
    message = next((text for text in texts if isinstance(text, str) and text), "")
    code = next((code for code in (error.error_code, error.error) if isinstance(code, str) and _CODE.fullmatch(code)), "")
    return code, "" if message == code else message


def _shown(message: str, secrets: tuple[Secret, ...]) -> str:
    """A foreign text on one line, without secrets, at most MAX_MESSAGE characters."""
    text = message
    for form in sorted({form for secret in secrets for form in _forms(secret.reveal())}, key=len, reverse=True):
        text = text.replace(form, "***")
    text = "".join(char if char.isprintable() else " " for char in redacted(text[: 20 * MAX_MESSAGE])).strip()
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), quote_plus(secret), base64.b64encode(secret.encode()).decode()} if secret else set()


def _bad(what: str, problem: str) -> SourceError:
    return SourceError(Reason.BAD_ANSWER, f"{what}: {problem}")


_HTML = "a page for people (HTML) where JSON is expected: is this the workspace's own address?"
_CODE = re.compile(r"[A-Za-z0-9_]{3,64}")
_PLAIN = re.compile(r"([A-Z][A-Z0-9_]{2,63}): *(.*)", re.DOTALL)
_REASONS = {401: Reason.UNAUTHORIZED, 403: Reason.FORBIDDEN, 404: Reason.NOT_FOUND, 429: Reason.THROTTLED}

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw] | None)
_TEXT = msgspec.json.Decoder(str | None)
_ERROR = msgspec.json.Decoder(_Error)
