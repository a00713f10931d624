"""The settings: these structs are the schema of file, flags and environment; reads them, and reports every problem at once."""

from __future__ import annotations

import os
import pwd
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from exporter.errors import ConfigError
from exporter.values import (
    absolute_path,
    boolean,
    count,
    duration,
    identifier,
    interval,
    listen_addresses,
    name,
    names,
    one_of,
    positive,
    web_path,
)
from exporter.yaml_file import document, nearest

ENVIRONMENT_PREFIX = "LAKEHOUSE_EXPORTER_"
MAX_EXPECTED = 2_000
MAX_WORKSPACES = 100

_Entry = TypeVar("_Entry", bound=msgspec.Struct)


def home() -> Path:
    """The home folder of the user that this process runs as, as Java's `user.home` has it: the password database's."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path(os.environ.get("HOME", "/"))


def drivers_dir() -> str:
    """The folder that the listener, too, takes where nobody names one."""
    return str(home() / ".lakehouse-exporter" / "drivers")


def _setting(
    parse: Callable[[object], Any],
    help: str,
    shown_default: str | None = None,
    *,
    flag: str = "",
    repeatable: bool = False,
    fixed: bool = False,
) -> msgspec.Meta:
    extra = {"parse": parse, "default": shown_default, "flag": flag, "repeatable": repeatable, "fixed": fixed}
    return msgspec.Meta(description=help, extra=extra)


def _entry(parse: Callable[[object], Any]) -> msgspec.Meta:
    """A member of an entry of a list in the file."""
    return msgspec.Meta(extra={"parse": parse})


def _every(what: str, default: str) -> msgspec.Meta:
    return _setting(interval, f"Time between two looks at {what} of a Databricks workspace.", default)


def _collector(help: str) -> msgspec.Meta:
    return _setting(boolean, help)


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
            fixed=True,
        ),
    ] = (":10071",)
    telemetry_path: Annotated[str, _setting(web_path, "Path of the page; with / there is no landing page.", fixed=True)] = (
        "/metrics"
    )
    max_connections: Annotated[
        int,
        _setting(
            count(8, 65536), "Connections at once; over that the eldest one that waits for nothing is closed.", fixed=True
        ),
    ] = 512
    enable_lifecycle: Annotated[
        bool, _setting(boolean, "Whether POST /-/reload reads the settings anew, as SIGHUP does.", fixed=True)
    ] = False
    probe: Annotated[
        bool,
        _setting(
            boolean,
            "Whether each workspace has a page of its own, /probe?target=NAME, listed at /sd, and leaves this one.",
            fixed=True,
        ),
    ] = False
    openmetrics_created: Annotated[
        bool,
        _setting(
            boolean,
            "Whether OpenMetrics pages say of each counter when its counting began (_created), which doubles their series.",
            fixed=True,
        ),
    ] = False
    show_exceptions: Annotated[
        bool,
        _setting(
            boolean,
            "Whether / shows the first line of a failure's exception, redacted; it may quote data, and is kept in the storage.",
        ),
    ] = False
    config_file: Annotated[
        str | None,
        _setting(
            absolute_path,
            "File with TLS and passwords, in the format of Prometheus' exporter-toolkit; re-read when it changes.",
            flag="--web.config.file",
            fixed=True,
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
            fixed=True,
        ),
    ] = msgspec.field(default_factory=drivers_dir)
    every: Annotated[float, _setting(duration, "Time between two polls of a driver.", "1s")] = 1.0


class StorageSettings(msgspec.Struct, frozen=True):
    """What outlives a restart of the exporter."""

    path: Annotated[
        str | None,
        _setting(
            absolute_path, "Folder for the state of counters; without it they start at 0 when the exporter does.", fixed=True
        ),
    ] = None


class Streaming(msgspec.Struct, frozen=True):
    """Streaming queries."""

    keep_ended: Annotated[
        float, _setting(duration, "How long the series of a query that has ended are still shown.", "10m")
    ] = 600.0


class Collectors(msgspec.Struct, frozen=True):
    """Which parts the page has; --collector.NAME and --no-collector.NAME."""

    streaming: Annotated[bool, _collector("Whether streaming queries are shown.")] = True
    driver: Annotated[bool, _collector("Whether drivers are shown.")] = True
    expected: Annotated[bool, _collector("Whether the streams of `expected` are shown.")] = True
    clusters: Annotated[bool, _collector("Whether clusters are asked for.")] = True
    cluster_events: Annotated[bool, _collector("Whether events of clusters that run streaming jobs are asked for.")] = True
    jobs: Annotated[bool, _collector("Whether jobs and their settings are asked for.")] = True
    job_runs: Annotated[bool, _collector("Whether runs are asked for.")] = True
    tasks: Annotated[bool, _collector("Whether tasks of runs are shown.")] = True
    schedules: Annotated[bool, _collector("Whether due times of jobs are held against their runs.")] = True
    pipelines: Annotated[bool, _collector("Whether pipelines are asked for.")] = True
    pipeline_events: Annotated[bool, _collector("Whether events of pipelines are asked for: a request a pipeline.")] = False
    warehouses: Annotated[bool, _collector("Whether SQL warehouses are asked for.")] = True
    instance_pools: Annotated[bool, _collector("Whether instance pools are asked for.")] = True
    identity: Annotated[bool, _collector("Whether it is asked who we are, and counted what we see.")] = True


class Every(msgspec.Struct, frozen=True):
    """How often a workspace is asked."""

    clusters: Annotated[float, _every("clusters", "1m")] = 60.0
    cluster_events: Annotated[float, _every("events of clusters", "1m")] = 60.0
    jobs: Annotated[float, _every("jobs", "10m")] = 600.0
    job_runs: Annotated[float, _every("runs of jobs", "1m")] = 60.0
    schedules: Annotated[float, _every("due times", "1m")] = 60.0
    pipelines: Annotated[float, _every("pipelines", "1m")] = 60.0
    pipeline_events: Annotated[float, _every("events of pipelines", "1m")] = 60.0
    warehouses: Annotated[float, _every("SQL warehouses", "1m")] = 60.0
    instance_pools: Annotated[float, _every("instance pools", "1m")] = 60.0
    identity: Annotated[float, _every("who we are", "10m")] = 600.0


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


class Expected(msgspec.Struct, frozen=True):
    """A stream that somebody counts on, by the names under which it is shown.

    `schedule` is the longest time in seconds between two signs of life; None for a query that must run always.
    """

    app: Annotated[str, _entry(name)]
    query: Annotated[str, _entry(name)]
    schedule: Annotated[float | None, _entry(interval)] = None


class WorkspaceSettings(msgspec.Struct, frozen=True):
    """A Databricks workspace, and who we are there: a token's file, or an OAuth client and its secret's or OIDC token's file.

    `tags` are those of a job's tags that are shown. `event_clusters` are names or ids of clusters whose events are asked for,
    besides those of the job clusters of continuous jobs.
    """

    name: Annotated[str, _entry(identifier)]
    host: Annotated[str, _entry(name)]
    token_file: Annotated[str | None, _entry(absolute_path)] = None
    client_id: Annotated[str | None, _entry(name)] = None
    client_secret_file: Annotated[str | None, _entry(absolute_path)] = None
    oidc_token_file: Annotated[str | None, _entry(absolute_path)] = None
    profile: Annotated[str | None, _entry(name)] = None
    ca_file: Annotated[str | None, _entry(absolute_path)] = None
    requests_per_second: Annotated[float, _entry(positive)] = 5.0
    burst: Annotated[int, _entry(count(1, 1000))] = 10
    tags: Annotated[tuple[str, ...], _entry(names)] = ()
    event_clusters: Annotated[tuple[str, ...], _entry(names)] = ()


class Config(msgspec.Struct, frozen=True):
    """Every setting; `expected` and `workspaces` can be named in the file alone."""

    web: Web = Web()
    drivers: Drivers = msgspec.field(default_factory=Drivers)
    storage: StorageSettings = StorageSettings()
    streaming: Streaming = Streaming()
    collector: Collectors = Collectors()
    every: Every = Every()
    shutdown: Shutdown = Shutdown()
    log: Log = Log()
    expected: tuple[Expected, ...] = ()
    workspaces: tuple[WorkspaceSettings, ...] = ()


LISTS = ("expected", "workspaces")


class Setting(NamedTuple):
    """One setting in its three spellings; `default` as text for people.

    `fixed` says that it is read when the exporter starts, and not when the settings are read anew.
    """

    section: str
    field: str
    help: str
    default: str
    parse: Callable[[object], Any]
    spelling: str = ""
    repeatable: bool = False
    fixed: bool = False

    @property
    def boolean(self) -> bool:
        return self.parse is boolean

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
    for section in _sections():
        for field in msgspec.structs.fields(section.type):
            meta = _meta(section.type, field.name)
            extra = meta.extra or {}
            default = extra["default"] or ("" if field.default is None else str(field.default).lower())
            spelled = extra["flag"], extra["repeatable"], extra["fixed"]
            found.append(Setting(section.name, field.name, meta.description or "", default, extra["parse"], *spelled))
    return tuple(found)


def file_of(environ: Mapping[str, str]) -> Path | None:
    """The file of settings that the environment names."""
    named = environ.get(f"{ENVIRONMENT_PREFIX}CONFIG_FILE")
    return Path(named) if named else None


def load(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> Config:
    """The settings of flags (`{"drivers.every": "2s"}`, a list for one that may be repeated), else environment, file, default.

    Raises ConfigError with every problem at once, each with its place.
    """
    problems: list[str] = []
    content = document(file, problems) if file is not None else {}
    given = dict(_from_file(content, str(file), problems))
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
    expected = tuple(_expected(content.get("expected"), f"{file}: expected", problems))
    workspaces = tuple(_workspaces(content.get("workspaces"), f"{file}: workspaces", problems))
    if problems:
        raise ConfigError(tuple(problems))
    sections = {section.name: section.type(**values.get(section.name, {})) for section in _sections()}
    return Config(**sections, expected=expected, workspaces=workspaces)


def _sections() -> list[msgspec.structs.FieldInfo]:
    return [field for field in msgspec.structs.fields(Config) if field.name not in LISTS]


def _meta(struct: Any, field: str) -> msgspec.Meta:
    found: msgspec.Meta = typing.get_type_hints(struct, include_extras=True)[field].__metadata__[0]
    return found


def _from_file(content: Mapping[str, Any], file: str, problems: list[str]) -> Iterator[tuple[str, tuple[str, object]]]:
    known = {setting.key for setting in settings()}
    sections = {field.name for field in msgspec.structs.fields(Config)}
    for section, members in content.items():
        if section not in sections:
            problems.append(f"{file}: unknown key {section!r}{nearest(section, sections)}")
        elif members is None or section in LISTS:  # None: a section whose settings are all commented out
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


def _expected(entries: object, place: str, problems: list[str]) -> Iterator[Expected]:
    """The streams that a list names, each once; what is wrong with an entry is put to `problems`."""
    shown = "a stream is expected, as in {app: orders, query: bronze}"
    return _entries(entries, Expected, place, ("streams", MAX_EXPECTED, shown), lambda one: (one.app, one.query), problems)


def _workspaces(entries: object, place: str, problems: list[str]) -> Iterator[WorkspaceSettings]:
    """The workspaces that a list names, each name once; what is wrong with an entry is put to `problems`."""
    shown = "a workspace is expected, as in {name: prod, host: https://…, token_file: /run/secrets/token}"
    for one in _entries(
        entries, WorkspaceSettings, place, ("workspaces", MAX_WORKSPACES, shown), lambda one: one.name, problems
    ):
        ways = [one.token_file, one.client_secret_file, one.oidc_token_file, one.profile]
        if sum(way is not None for way in ways) != 1:
            which = "token_file, client_secret_file, oidc_token_file or profile"
            problems.append(f"{place}: {one.name}: one of {which} is expected")
        elif one.client_secret_file is not None and one.client_id is None:
            problems.append(f"{place}: {one.name}: client_id is missing")
        yield one


def _entries(
    entries: object,
    type: type[_Entry],
    place: str,
    words: tuple[str, int, str],
    key: Callable[[_Entry], object],
    problems: list[str],
) -> Iterator[_Entry]:
    """The entries of a list in the file; `words` are what they are called, how many there may be, and what one looks like."""
    things, most, shown = words
    if entries is None:
        return
    if not isinstance(entries, list):
        problems.append(f"{place}: a list of {things} is expected, not {entries!r}")
        return
    if len(entries) > most:
        problems.append(f"{place}: {len(entries)} {things}, at most {most} can be watched")
        return
    seen: dict[object, str] = {}
    for number, entry in enumerate(entries):
        here = f"{place}[{number}]"
        if not isinstance(entry, dict):
            problems.append(f"{here}: {shown}, not {entry!r}")
            continue
        found = _entry_of(entry, type, here, problems)
        if found is None:
            continue
        first = seen.setdefault(key(found), here)
        if first != here:
            problems.append(f"{here}: the same as {first.removeprefix(place)}")
        yield found


def _entry_of(entry: dict[object, object], type: type[_Entry], place: str, problems: list[str]) -> _Entry | None:
    fields = {field.name: field for field in msgspec.structs.fields(type)}
    told = len(problems)
    problems += [f"{place}: unknown key {str(key)!r}{nearest(str(key), fields)}" for key in entry if key not in fields]
    values = {}
    for field in fields.values():
        if entry.get(field.name) is not None or (field.required and field.name in entry):
            try:
                values[field.name] = (_meta(type, field.name).extra or {})["parse"](entry[field.name])
            except ValueError as error:
                problems.append(f"{place}.{field.name}: {error}")
        elif field.required:
            problems.append(f"{place}: {field.name} is missing")
    return None if len(problems) > told else type(**values)
