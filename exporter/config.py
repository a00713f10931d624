"""The settings: these structs are the schema of file, flags and environment; reads them, and reports every problem at once."""

from __future__ import annotations

import difflib
import os
import pwd
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import yaml

from exporter.errors import ConfigError

ENVIRONMENT_PREFIX = "LAKEHOUSE_EXPORTER_"
MAX_FILE_BYTES = 64 * 1024

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_UNIT_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)


def home() -> Path:
    """The home folder of the user that this process runs as, as Java's `user.home` has it: the password database's."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path(os.environ.get("HOME", "/"))


def drivers_dir() -> str:
    """The folder that the listener, too, takes where nobody names one."""
    return str(home() / ".lakehouse-exporter" / "drivers")


def duration(value: object) -> float:
    """Seconds from `10m`, `1h30m`, `1.5s`, `250ms` or a bare number of seconds; raises ValueError for anything else."""
    seconds: float
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    else:
        text = str(value).strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
        elif text and (found := _DURATION.fullmatch(text)) is not None:
            seconds = sum(float(part) * unit for part, unit in zip(found.groups(), _UNIT_SECONDS, strict=True) if part)
        else:
            raise ValueError(f"{text!r} is no duration; write 90s, 10m or 1h30m")
    if not 0 <= seconds < 10 * 365 * 86400:
        raise ValueError(f"{value!r} is not between 0 and ten years")
    return float(seconds)


def listen_address(value: object) -> str:
    """`host:port`, `[v6]:port` or `:port` (every address), as it was given; raises ValueError for anything else."""
    text = str(value)
    host, colon, port = text.rpartition(":")
    if (
        not colon
        or not port.isdecimal()
        or int(port) not in range(65536)
        or (re.search(r"[\[\]:]", host) and not re.fullmatch(r"\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%\w+)?\]", host))
    ):
        raise ValueError(f"{text!r} is no listen address; write :10071, 127.0.0.1:10071 or [::1]:10071")
    return text


def listen_addresses(value: object) -> tuple[str, ...]:
    """One listen address or several: a list, or a text with commas between them; raises ValueError for anything else."""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    found = tuple(listen_address(part.strip() if isinstance(part, str) else part) for part in parts)
    if not found:
        raise ValueError("at least one listen address is expected")
    return found


def web_path(value: object) -> str:
    """The path of a page, as it stands in a URL; raises ValueError for one that no request can name, or that is taken."""
    text = str(value)
    if not re.fullmatch(r"/[\w.~!$&'()*+,;=:@%/-]*", text, re.ASCII):
        raise ValueError(f"{text!r} is no path; write /metrics")
    if text.startswith(("/-/", "/api/", "/landing.")):
        raise ValueError(f"{text!r} is taken by the exporter itself")
    return text


def count(least: int, most: int) -> Callable[[object], int]:
    """A parser that takes a whole number from `least` to `most`."""

    def parse(value: object) -> int:
        text = str(value)
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is no whole number between {least} and {most}")
        return int(text)

    return parse


def one_of(*choices: str) -> Callable[[object], str]:
    """A parser that takes these words and no other."""

    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is none of {', '.join(choices)}")
        return str(value)

    return parse


def absolute_path(value: object) -> str:
    """A path with `~` opened; raises ValueError for an empty one."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path is expected")
    return os.path.abspath(os.path.expanduser(value))


def _setting(
    parse: Callable[[object], Any],
    help: str,
    shown_default: str | None = None,
    *,
    flag: str = "",
    repeatable: bool = False,
) -> msgspec.Meta:
    extra = {"parse": parse, "default": shown_default, "flag": flag, "repeatable": repeatable}
    return msgspec.Meta(description=help, extra=extra)


class Web(msgspec.Struct, frozen=True):
    """Where the page is served, and to whom."""

    listen_address: Annotated[
        tuple[str, ...],
        _setting(
            listen_addresses,
            "Address to serve on; without a host, on every address. The flag may be given several times, the file may hold a"
            " list. Sockets that systemd hands over win.",
            ":10071",
            repeatable=True,
        ),
    ] = (":10071",)
    telemetry_path: Annotated[str, _setting(web_path, "Path of the page; with / there is no landing page.")] = "/metrics"
    max_connections: Annotated[
        int,
        _setting(count(8, 65536), "Connections at once; over that the eldest one that waits for nothing is closed."),
    ] = 512
    config_file: Annotated[
        str | None,
        _setting(
            absolute_path,
            "File with TLS and passwords, in the format of Prometheus' exporter-toolkit; re-read when it changes.",
            flag="--web.config.file",
        ),
    ] = None


class Drivers(msgspec.Struct, frozen=True):
    """Where Spark drivers are found, and how often they are asked."""

    dir: Annotated[
        str,
        _setting(
            absolute_path,
            "Folder in which the listeners of drivers leave their connection files; the same as spark.lakehouse.listener.dir.",
            "~/.lakehouse-exporter/drivers",
        ),
    ] = msgspec.field(default_factory=drivers_dir)
    every: Annotated[float, _setting(duration, "Time between two polls of a driver.", "1s")] = 1.0


class StorageSettings(msgspec.Struct, frozen=True):
    """What outlives a restart of the exporter."""

    path: Annotated[
        str | None,
        _setting(absolute_path, "Folder for the state of counters; without it they start at 0 when the exporter does."),
    ] = None


class Streaming(msgspec.Struct, frozen=True):
    """Streaming queries."""

    keep_ended: Annotated[
        float, _setting(duration, "How long the series of a query that has ended are still shown.", "10m")
    ] = 600.0


class Shutdown(msgspec.Struct, frozen=True):
    """The end of the exporter."""

    linger: Annotated[
        float,
        _setting(
            duration,
            "How long SIGTERM is answered by serving on, so that last words are scraped; two scrape intervals are enough.",
            "0s",
        ),
    ] = 0.0


class Log(msgspec.Struct, frozen=True):
    """The exporter's own log, on standard error."""

    level: Annotated[str, _setting(one_of("debug", "info", "warning", "error"), "Least level that is logged.")] = "info"
    format: Annotated[str, _setting(one_of("logfmt", "json"), "Form of a log line.")] = "logfmt"


class Config(msgspec.Struct, frozen=True):
    """Every setting."""

    web: Web = Web()
    drivers: Drivers = msgspec.field(default_factory=Drivers)
    storage: StorageSettings = StorageSettings()
    streaming: Streaming = Streaming()
    shutdown: Shutdown = Shutdown()
    log: Log = Log()


class Setting(NamedTuple):
    """One setting in its three spellings; `default` as text for people."""

    section: str
    field: str
    help: str
    default: str
    parse: Callable[[object], Any]
    spelling: str = ""
    repeatable: bool = False

    @property
    def flag(self) -> str:
        return self.spelling or f"--{self.section}.{self.field.replace('_', '-')}"

    @property
    def variable(self) -> str:
        return f"{ENVIRONMENT_PREFIX}{self.section}_{self.field}".upper()

    @property
    def key(self) -> str:
        return f"{self.section}.{self.field}"


def settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the structs."""
    found = []
    for section in msgspec.structs.fields(Config):
        hints = typing.get_type_hints(section.type, include_extras=True)
        for field in msgspec.structs.fields(section.type):
            meta: msgspec.Meta = hints[field.name].__metadata__[0]
            extra = meta.extra or {}
            default = extra["default"] or ("" if field.default is None else str(field.default))
            spelled = extra["flag"], extra["repeatable"]
            found.append(Setting(section.name, field.name, meta.description or "", default, extra["parse"], *spelled))
    return tuple(found)


def load(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> Config:
    """The settings of flags (`{"drivers.every": "2s"}`, a list for one that may be repeated), else environment, file, default.

    Raises ConfigError with every problem at once, each with its place.
    """
    problems: list[str] = []
    given: dict[str, tuple[str, object]] = {}
    if file is not None:
        given.update(_from_file(file, problems))
    for setting in settings():
        if setting.variable in environ:
            given[setting.key] = (setting.variable, environ[setting.variable])
        if setting.key in flags:
            given[setting.key] = (setting.flag, flags[setting.key])
    values: dict[str, dict[str, Any]] = {}
    for setting in settings():
        if setting.key in given:
            place, value = given[setting.key]
            try:
                values.setdefault(setting.section, {})[setting.field] = setting.parse(value)
            except ValueError as error:
                problems.append(f"{place}: {error}")
    if problems:
        raise ConfigError(tuple(problems))
    sections = {section.name: section.type(**values.get(section.name, {})) for section in msgspec.structs.fields(Config)}
    return Config(**sections)


def _from_file(file: Path, problems: list[str]) -> Iterator[tuple[str, tuple[str, object]]]:
    content = document(file, problems)
    known = {setting.key for setting in settings()}
    sections = {setting.section for setting in settings()}
    for section, members in content.items():
        if section not in sections:
            problems.append(f"{file}: unknown key {section!r}{nearest(section, sections)}")
        elif members is None:  # a section whose settings are all commented out
            continue
        elif not isinstance(members, dict):
            problems.append(f"{file}: {section}: settings are expected, not {members!r}")
        else:
            for field, value in members.items():
                key = f"{section}.{field}"
                if key in known:
                    yield key, (f"{file}: {key}", value)
                else:
                    problems.append(f"{file}: unknown key {key!r}{nearest(key, known)}")


def document(file: Path, problems: list[str]) -> dict[str, Any]:
    """The mapping that a YAML file holds; what keeps it from being one is put to `problems`."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
        content = yaml.load(text, StrictLoader)  # noqa: S506 -- it is a SafeLoader
    except OSError as error:
        problems.append(f"{file}: {error.strerror}")
    except RecursionError:
        problems.append(f"{file}: nested too deep")
    except (yaml.YAMLError, ValueError) as error:
        problems.append(f"{file}: {' '.join(str(error).split())}")
    else:
        if content is None:
            return {}
        if isinstance(content, dict):
            return {str(key): value for key, value in content.items()}
        problems.append(f"{file}: settings are expected, not {type(content).__name__}")
    return {}


def nearest(word: str, known: set[str]) -> str:
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
