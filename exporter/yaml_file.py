"""YAML files as people write them, without YAML's traps; reads one, and knows nothing of what its keys mean."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

MAX_FILE_BYTES = 1024 * 1024


def document(file: Path, problems: list[str]) -> dict[str, Any]:
    """The mapping that a YAML file holds; what keeps it from being one is put to `problems`."""
    try:
        content = yaml.load(_text(file), StrictLoader)  # noqa: S506 -- it is a SafeLoader
    except OSError as error:
        problems.append(f"{file}: {error.strerror}")
    except RecursionError:
        problems.append(f"{file}: nested too deep")
    except yaml.MarkedYAMLError as error:  # all of its text but the context quotes the line, which may hold a password
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problems.append(f"{file}: no YAML: {error.context or 'what YAML does not allow there'}{place}")
    except (yaml.YAMLError, ValueError) as error:
        problems.append(f"{file}: {' '.join(str(error).split())}")
    else:
        if content is None:
            return {}
        if isinstance(content, dict):
            return {str(key): value for key, value in content.items()}
        problems.append(f"{file}: settings are expected, not {type(content).__name__}")
    return {}


def _text(file: Path) -> bytes:
    # A pipe would be waited for, deaf to signals, and be empty when it is read again.
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ValueError("no regular file")
        text = opened.read(MAX_FILE_BYTES + 1)
    if len(text) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """What to add to the refusal of an unknown `word`."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class StrictLoader(yaml.SafeLoader):
    """YAML without its traps: a key that stands twice would win silently, an alias can blow a small file up."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- yaml's
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.YAMLError(f"key {key.value!r} stands twice (line {key.start_mark.line + 1})")
                seen.add(key.value)
        return super().construct_mapping(node, deep)
