"""Pages and their tokens. A token names the last item told, so what comes or goes meanwhile moves no other item."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from exporter.demo.workspace.answers.requests import Document, Request, invalid

SMALL, ENDLESS, EMPTY_TOKEN, VANISHING, SHIFTING = "small_pages", "endless_pages", "empty_token", "vanishing", "shifting"

_ARRAY_PAGE = 100
_TAIL = b"\xfb\xff\xfb"

Item = TypeVar("Item")
# Numbers and texts, as JSON can hold them.
Position = list[Any]


def token(position: Position) -> str:
    """In the alphabet of plain base64, where the last bytes bring a `+` or `/` along: a client has to encode it."""
    return base64.b64encode(json.dumps(position).encode() + _TAIL).decode()


def position(text: str | None) -> Position | None:
    """What `token` was given; `None` for the first page."""
    if not text:
        return None
    try:
        return list(json.loads(base64.b64decode(text, validate=True).removesuffix(_TAIL)))
    except (ValueError, TypeError):
        raise invalid(f"Invalid page token: {text}") from None


def cut(
    request: Request,
    items: Iterable[tuple[Position, Item]],
    limit: int,
    asked: str | None,
) -> tuple[list[Item], str | None]:
    """The next items, at most `limit` of them, and the token of the page behind them. `items` begin where `behind` says."""
    if SMALL in request.odd:
        limit = max(1, limit // 3)
    rest: Iterator[tuple[Position, Item]] = iter(items)
    if asked and VANISHING in request.odd:
        next(rest, None)
    taken = list(islice(rest, limit + 1))
    following = token(taken[limit - 1][0]) if len(taken) > limit else None
    return [item for _, item in taken[:limit]], _told(request, asked, following)


def window(request: Request, longest: int) -> tuple[slice, str | None]:
    """The part of an object's arrays that its page holds, at most 100 of each, and the token of the page behind it."""
    asked = request.text("page_token")
    begin = int((position(asked) or [0])[0])
    if begin:
        begin += (VANISHING in request.odd) - (SHIFTING in request.odd)
    end = begin + (_ARRAY_PAGE // 3 if SMALL in request.odd else _ARRAY_PAGE)
    return slice(begin, end), _told(request, asked, token([end]) if longest > end else None)


def behind(
    request: Request, items: Sequence[Item], key: Callable[[Item], Position], asked: str | None
) -> Iterator[tuple[Position, Item]]:
    """The items behind the position of a token, each with its own; they come sorted by their keys, one way or the other."""
    keys = [key(item) for item in items]
    start = position(asked)
    place = 0
    if start:
        falling = keys[-1:] < keys[:1]
        # What was told last may be gone by now: the next one goes on.
        place = sum(1 for one in keys if (one >= start if falling else one <= start))
        place -= SHIFTING in request.odd and place > 0
    return zip(keys[place:], items[place:], strict=True)


def listed(
    request: Request,
    name: str,
    items: Iterable[Item],
    key: Callable[[Item], Position],
    told: Callable[[Item], Document],
    limit: int,
    *,
    falling: bool = False,
) -> Document:
    """A page of the items, sorted by their keys, under a name."""
    asked = request.text("page_token")
    ordered = sorted(items, key=key, reverse=falling)
    taken, following = cut(request, behind(request, ordered, key, asked), limit, asked)
    return paged({name: [told(item) for item in taken]}, following)


def paged(document: Document, following: str | None) -> Document:
    """The document with the token of the page behind it."""
    return document if following is None else {**document, "next_page_token": following}


def _told(request: Request, asked: str | None, following: str | None) -> str | None:
    """The token that is told in the place of the true one."""
    if ENDLESS in request.odd:
        return asked or following or token([])
    return "" if following is None and EMPTY_TOKEN in request.odd else following
