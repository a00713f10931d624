"""The ways in which an answer can be odd: values to choose from, and pure changes of documents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from exporter.demo.workspace.answers import pages, runs
from exporter.demo.workspace.answers.requests import Document, RefusedError, Request


class Kind(Enum):
    """What is wrong; where a kind takes a value, it says which."""

    ORDER_BY_END = runs.BY_END  # runs/list in the other of its two documented orders
    SMALL_PAGES = pages.SMALL  # a third of the limit on each page
    EMPTY_TOKEN = pages.EMPTY_TOKEN  # the last page has the next_page_token ""
    ENDLESS_PAGES = pages.ENDLESS  # each page from the second on has the token that led to it
    VANISHING = pages.VANISHING  # the first item of each page but the first is gone
    SHIFTING = pages.SHIFTING  # the last item of a page is also the first of the next
    STRINGS = "strings"  # int64 as JSON strings
    UNKNOWN_VALUES = "unknown_values"  # every third item has states, codes and types that nobody knows
    UNKNOWN_FIELDS = "unknown_fields"  # each object has fields that nobody knows
    MISSING_ARRAYS = "missing_arrays"  # an empty list is left out
    BROKEN_ITEMS = "broken_items"  # null, wrong types and an item of wrong fields amidst the good ones
    UNSEEN = "unseen"  # value: an id; the object is in no list, and forbidden
    FORBIDDEN = "forbidden"  # value: an id; listed, but 403 when asked for
    THROTTLED = "throttled"  # 429; value: the Retry-After header, "" for none
    STATUS = "status"  # value: an HTTP status from 400 on, with Databricks' error body
    LOGIN_PAGE = "login_page"  # 200 and a page of HTML
    TRUNCATED = "truncated"  # 200 and the first half of the JSON
    BOMB = "bomb"  # gzip that unpacks to this many MiB (value; 256 where it is "")
    SILENT = "silent"  # not even headers come
    DRIP = "drip"  # one byte of the body a time; value: seconds between two (0.2 where it is "")
    RESET = "reset"  # the connection is reset in the place of an answer


@dataclass(frozen=True)
class Fault:
    """`only` are beginnings of paths, none for all; after `times` requests it is over, `None` for never."""

    kind: Kind
    value: str = ""
    only: tuple[str, ...] = ()
    times: int | None = None

    def concerns(self, path: str) -> bool:
        return not self.only or path.startswith(self.only)


def refuse(faults: Iterable[Fault]) -> None:
    """Raises the refusal that one of the faults orders for whoever asks for whatever."""
    for fault in faults:
        if fault.kind is Kind.THROTTLED:
            raise RefusedError(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests: the workspace's limit is exceeded.")
        if fault.kind is Kind.STATUS:
            code = "TEMPORARILY_UNAVAILABLE" if fault.value == "503" else "INTERNAL_ERROR"
            raise RefusedError(int(fault.value), code, f"The service answers {fault.value}.")


def forbid(request: Request, faults: Iterable[Fault]) -> None:
    """Raises the refusal of one object, where the request names one that a fault has put out of sight."""
    for fault in faults:
        if fault.kind in {Kind.FORBIDDEN, Kind.UNSEEN} and fault.value in _ids(request):
            raise RefusedError(403, "PERMISSION_DENIED", f"The caller may not view {fault.value}.")


def changed(document: Document, faults: Iterable[Fault]) -> Document:
    """The document as the faults leave it."""
    for fault in faults:
        if fault.kind is Kind.UNSEEN:
            document = _each_list(document, partial(_without, fault.value))
        elif fault.kind is Kind.UNKNOWN_VALUES:
            document = _each_list(
                document, lambda items: [one if place % 3 else _unknown(one) for place, one in enumerate(items)]
            )
        elif fault.kind is Kind.BROKEN_ITEMS:
            document = _each_list(document, _with_broken)
        elif fault.kind is Kind.MISSING_ARRAYS:
            document = {name: value for name, value in document.items() if value != []}
        elif fault.kind is Kind.UNKNOWN_FIELDS:
            document = _with_fields(document)
        elif fault.kind is Kind.STRINGS:
            document = _with_strings(document)
    return document


_LISTS = ("runs", "jobs", "clusters", "events", "statuses", "updates", "warehouses", "instance_pools")
_ID_NAMES = ("run_id", "job_id", "cluster_id", "pipeline_id", "id", "instance_pool_id", "update_id")
_OPEN = {"state", "life_cycle_state", "result_state", "code", "type", "trigger", "run_type", "cause", "level", "event_type"}
_OPEN |= {"cluster_source", "health", "status", "warehouse_type"}
_LONG = ("_id", "_time", "_ms", "_duration", "timestamp", "number_in_job", "_memory_mb", "last_attempted", "seq_no", "_records")


def _ids(request: Request) -> set[str]:
    asked = {value for name in _ID_NAMES for value in request.query.get(name, ())}
    return asked | {str(request.body.get(name)) for name in _ID_NAMES} | set(request.path.split("/"))


def _is(item: Any, id: str) -> bool:
    return any(str(item.get(name)) == id for name in _ID_NAMES if name in item)


def _each_list(document: Document, change: Any) -> Document:
    return {name: change(value) if name in _LISTS else value for name, value in document.items()}


def _without(id: str, items: list[Any]) -> list[Any]:
    return [one for one in items if not _is(one, id)]


def _with_broken(items: list[Any]) -> list[Any]:
    wrong = {name: ["not", "a", "scalar"] for name in items[0]} if items else {}
    middle = len(items) // 2
    return [*items[:middle], None, "oops", 7, [], {}, wrong, *items[middle:]]


def _unknown(value: Any) -> Any:
    if isinstance(value, list):
        return [_unknown(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: "BRAND_NEW" if name in _OPEN and isinstance(one, str) else _unknown(one) for name, one in value.items()}


def _with_fields(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_fields(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {**{name: _with_fields(one) for name, one in value.items()}, "brand_new_field": {"a": [1, None, "x"]}}


def _with_strings(value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        return [_with_strings(one, name) for one in value]
    if isinstance(value, dict):
        return {key: _with_strings(one, key) for key, one in value.items()}
    long = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if long and (name.endswith(_LONG) or name in {"id", "task_run_ids"}) else value
