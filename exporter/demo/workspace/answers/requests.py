"""What a client asked, and the checks of its parameters; what can't be answered is refused in Databricks' own shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


class RefusedError(Exception):
    """An answer with this HTTP status, error code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def invalid(message: str) -> RefusedError:
    """A wrong parameter, or a missing job, run or cluster: Databricks answers 400 to both."""
    return RefusedError(400, "INVALID_PARAMETER_VALUE", message)


@dataclass(frozen=True)
class Request:
    """Method, path and parameters; `body` is the JSON object of a POST. `odd` names the faults that its answer shall have."""

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: Document = field(default_factory=dict)
    odd: frozenset[str] = frozenset()

    def text(self, name: str) -> str | None:
        """The parameter; `None` where it is not given."""
        values = self.query.get(name, ())
        if len(values) > 1:
            raise invalid(f"Parameter {name} is given {len(values)} times.")
        return values[0] if values else None

    def integer(self, name: str) -> int | None:
        """The parameter as a number; `None` where it is not given."""
        text = self.text(name)
        try:
            return None if text is None else int(text)
        except ValueError:
            raise invalid(f"Parameter {name} is no integer: {text}") from None

    def required(self, name: str) -> int:
        """The parameter as a number that must be given."""
        value = self.integer(name)
        if value is None:
            raise invalid(f"Missing required field: {name}")
        return value

    def boolean(self, name: str) -> bool:
        """The parameter, false where it is not given; in JSON's writing alone."""
        text = self.text(name)
        if text not in {None, "true", "false"}:
            raise invalid(f"Parameter {name} is neither true nor false: {text}")
        return text == "true"

    def limit(self, name: str, default: int, most: int, *, least: int = 1) -> int:
        """How many items a page may hold; 0 is the most where it is allowed."""
        value = self.integer(name)
        if value is None:
            return default
        if value > most:
            raise invalid(f"Invalid {name} {value} - it has to be no more than {most}")
        if value < least:
            raise invalid(f"Invalid {name} {value} - it has to be no less than {least}")
        return value or most


def given(pairs: Iterable[tuple[str, Any]] | Mapping[str, Any]) -> Document:
    """Without what is `None`: Databricks leaves a field out where it has no value."""
    return {name: value for name, value in dict(pairs).items() if value is not None}
