"""exporter/config.py; tests/bad-config holds one mistake a file, with its message in the file's first line."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter import collectors, config
from exporter.config import Config, Expected, WorkspaceSettings, drivers_dir, home, load, settings
from exporter.errors import ConfigError
from exporter.values import absolute_path, boolean, duration, identifier, interval, listen_address, name, positive

BAD = sorted((Path(__file__).parent / "bad-config").iterdir())
OF_WORKSPACES = [
    ("clusters", "true"),
    ("cluster_events", "true"),
    ("jobs", "true"),
    ("job_runs", "true"),
    ("tasks", "true"),
    ("schedules", "true"),
    ("pipelines", "true"),
    ("pipeline_events", "false"),
    ("warehouses", "true"),
    ("instance_pools", "true"),
    ("identity", "true"),
]
EVERY = [(name, "10m" if name in ("jobs", "identity") else "1m") for name, _ in OF_WORKSPACES if name != "tasks"]
NAMES = [
    ("--web.listen-address", "LAKEHOUSE_EXPORTER_WEB_LISTEN_ADDRESS", "web.listen_address", ":10071"),
    ("--web.telemetry-path", "LAKEHOUSE_EXPORTER_WEB_TELEMETRY_PATH", "web.telemetry_path", "/metrics"),
    ("--web.max-connections", "LAKEHOUSE_EXPORTER_WEB_MAX_CONNECTIONS", "web.max_connections", "512"),
    ("--web.enable-lifecycle", "LAKEHOUSE_EXPORTER_WEB_ENABLE_LIFECYCLE", "web.enable_lifecycle", "false"),
    ("--web.probe", "LAKEHOUSE_EXPORTER_WEB_PROBE", "web.probe", "false"),
    ("--web.openmetrics-created", "LAKEHOUSE_EXPORTER_WEB_OPENMETRICS_CREATED", "web.openmetrics_created", "false"),
    ("--web.show-exceptions", "LAKEHOUSE_EXPORTER_WEB_SHOW_EXCEPTIONS", "web.show_exceptions", "false"),
    ("--web.config.file", "LAKEHOUSE_EXPORTER_WEB_CONFIG_FILE", "web.config_file", ""),
    ("--drivers.dir", "LAKEHOUSE_EXPORTER_DRIVERS_DIR", "drivers.dir", "~/.lakehouse-exporter/drivers"),
    ("--drivers.every", "LAKEHOUSE_EXPORTER_DRIVERS_EVERY", "drivers.every", "1s"),
    ("--storage.path", "LAKEHOUSE_EXPORTER_STORAGE_PATH", "storage.path", ""),
    ("--streaming.keep-ended", "LAKEHOUSE_EXPORTER_STREAMING_KEEP_ENDED", "streaming.keep_ended", "10m"),
    ("--collector.streaming", "LAKEHOUSE_EXPORTER_COLLECTOR_STREAMING", "collector.streaming", "true"),
    ("--collector.driver", "LAKEHOUSE_EXPORTER_COLLECTOR_DRIVER", "collector.driver", "true"),
    ("--collector.expected", "LAKEHOUSE_EXPORTER_COLLECTOR_EXPECTED", "collector.expected", "true"),
    *(
        (f"--collector.{name.replace('_', '-')}", f"LAKEHOUSE_EXPORTER_COLLECTOR_{name.upper()}", f"collector.{name}", default)
        for name, default in OF_WORKSPACES
    ),
    *(
        (f"--every.{name.replace('_', '-')}", f"LAKEHOUSE_EXPORTER_EVERY_{name.upper()}", f"every.{name}", every)
        for name, every in EVERY
    ),
    ("--shutdown.linger", "LAKEHOUSE_EXPORTER_SHUTDOWN_LINGER", "shutdown.linger", "0s"),
    ("--log.level", "LAKEHOUSE_EXPORTER_LOG_LEVEL", "log.level", "info"),
    ("--log.format", "LAKEHOUSE_EXPORTER_LOG_FORMAT", "log.format", "logfmt"),
]
# A value of each setting that is not its default, and what it is read as.
OTHERS = {
    "web.listen_address": ("127.0.0.1:0,[::1]:0", ("127.0.0.1:0", "[::1]:0")),
    "web.telemetry_path": ("/m", "/m"),
    "web.max_connections": ("9", 9),
    "web.enable_lifecycle": ("true", True),
    "web.probe": ("true", True),
    "web.openmetrics_created": ("True", True),
    "web.show_exceptions": ("TRUE", True),
    "web.config_file": ("/w", "/w"),
    "drivers.dir": ("/d", "/d"),
    "drivers.every": ("5s", 5.0),
    "storage.path": ("/s", "/s"),
    "streaming.keep_ended": ("1h", 3600.0),
    "collector.streaming": ("false", False),
    "collector.driver": ("False", False),
    "collector.expected": ("FALSE", False),
    **{f"collector.{name}": ("true", True) if default == "false" else ("false", False) for name, default in OF_WORKSPACES},
    **{f"every.{name}": ("2m", 120.0) for name, _ in EVERY},
    "shutdown.linger": ("30s", 30.0),
    "log.level": ("debug", "debug"),
    "log.format": ("json", "json"),
}


def problems(flags: Mapping[str, object], environ: dict[str, str], file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        load(flags, environ, file)
    return raised.value.problems


def value(loaded: config.Config, key: str) -> object:
    section, field = key.split(".")
    return getattr(getattr(loaded, section), field)


@pytest.mark.parametrize("file", BAD, ids=[file.stem for file in BAD])
def test_bad_config(file: Path) -> None:
    """A file with one mistake is refused with one problem: the file's name, then what its first line says."""
    expected = file.read_text(encoding="utf-8", errors="replace").splitlines()[0].removeprefix("# ")
    (problem,) = problems({}, {}, file)

    assert problem.startswith(f"{file}: ")
    assert expected in problem
    assert "\n" not in problem


def test_defaults() -> None:
    """Without any setting: every address at port 10071, a poll a second, no storage, ended queries for ten minutes."""
    loaded = load({}, {})

    assert [value(loaded, key) for _, _, key, _ in NAMES] == [
        *((":10071",), "/metrics", 512, False, False, False, False, None),
        *(drivers_dir(), 1.0, None, 600.0, True, True, True),
        *(default == "true" for _, default in OF_WORKSPACES),
        *(duration(every) for _, every in EVERY),
        *(0.0, "info", "logfmt"),
    ]


def test_names() -> None:
    """Each setting's flag, environment variable, key in the file and default as shown."""
    assert [(setting.flag, setting.variable, setting.key, setting.default) for setting in settings()] == NAMES


def test_help() -> None:
    """Each setting has a help that is a sentence."""
    assert [setting.key for setting in settings() if not (setting.help[:1].isupper() and setting.help.endswith("."))] == []


def test_shown_defaults() -> None:
    """The default that is shown for a setting is the one that is taken."""
    shown = {setting.key: setting.parse(setting.default) for setting in settings() if setting.default}

    assert shown == {key: value(load({}, {}), key) for key in shown}


def test_several_addresses(tmp_path: Path) -> None:
    """Several listen addresses are a list in the file, and a flag given several times."""
    file = tmp_path / "config.yaml"
    file.write_text('web: {listen_address: [":1", ":2"]}\n')

    assert load({}, {}, file).web.listen_address == (":1", ":2")
    assert load({"web.listen_address": [":3", ":4"]}, {}, file).web.listen_address == (":3", ":4")
    assert problems({"web.listen_address": []}, {}) == ("--web.listen-address: at least one listen address is expected",)


@pytest.mark.parametrize("given", ["", "metrics", "/a b", "/a?b", "/a#b", "/-/ready", "/api/v1/streams", "/é"])
def test_no_path(given: str) -> None:
    """A telemetry path is one that a request can name, and not one of the exporter's own."""
    (problem,) = problems({"web.telemetry_path": given}, {})

    assert problem.startswith("--web.telemetry-path: ")


@pytest.mark.parametrize("given", ["0", "7", "-1", "65537", "1e3", "many", "٩٩"])
def test_no_count(given: str) -> None:
    """The number of connections is a whole number with a floor and a ceiling."""
    (problem,) = problems({"web.max_connections": given}, {})

    assert problem == f"--web.max-connections: {given!r} is no whole number between 8 and 65536"


@pytest.mark.parametrize(("flag", "variable", "key", "default"), NAMES)
def test_three_spellings(flag: str, variable: str, key: str, default: str, tmp_path: Path) -> None:
    """A setting is the same whether a flag, the environment or the file gives it."""
    text, meant = OTHERS[key]
    section, field = key.split(".")
    file = tmp_path / "config.yaml"
    file.write_text(f'{section}:\n  {field}: "{text}"\n')

    assert value(load({key: text}, {}), key) == meant
    assert value(load({}, {variable: text}), key) == meant
    assert value(load({}, {}, file), key) == meant


def test_precedence(tmp_path: Path) -> None:
    """A flag wins over the environment, that over the file, and that over the default."""
    file = tmp_path / "config.yaml"
    file.write_text("drivers: {every: 4s}\nstreaming: {keep_ended: 4s}\nshutdown: {linger: 4s}\n")
    environ = {"LAKEHOUSE_EXPORTER_DRIVERS_EVERY": "3s", "LAKEHOUSE_EXPORTER_STREAMING_KEEP_ENDED": "3s"}
    loaded = load({"drivers.every": "2s"}, environ, file)

    assert (loaded.drivers.every, loaded.streaming.keep_ended, loaded.shutdown.linger, loaded.log.level) == (2, 3, 4, "info")


def test_every_problem(tmp_path: Path) -> None:
    """Problems of file, environment and flags are told all at once, each with its place."""
    file = tmp_path / "config.yaml"
    file.write_text("web: {listen_address: x}\nlgo: {}\nlog: {levle: info}\nstorage: 1\n")
    environ = {"LAKEHOUSE_EXPORTER_DRIVERS_EVERY": "never", "LAKEHOUSE_EXPORTER_DRIVERS_DIR": ""}

    assert problems({"log.format": "xml"}, environ, file) == (
        f"{file}: unknown key 'lgo'; did you mean 'log'?",
        f"{file}: unknown key 'log.levle'; did you mean 'log.level'?",
        f"{file}: storage: settings are expected, not 1",
        f"{file}: web.listen_address: 'x' is no listen address; write :10071, 127.0.0.1:10071 or [::1]:10071",
        "LAKEHOUSE_EXPORTER_DRIVERS_DIR: a path is expected",
        "LAKEHOUSE_EXPORTER_DRIVERS_EVERY: 'never' is no duration; write 90s, 10m or 1h30m",
        "--log.format: 'xml' is none of logfmt, json",
    )


def test_overruled_mistake() -> None:
    """A value that is overruled is not looked at."""
    assert load({"log.level": "error"}, {"LAKEHOUSE_EXPORTER_LOG_LEVEL": "loud"}).log.level == "error"


def test_other_variables() -> None:
    """Variables that are no setting, as Kubernetes makes them for a service of our name, are left alone."""
    assert load({}, {"LAKEHOUSE_EXPORTER_PORT": "tcp://10.0.0.1:10071"}) == load({}, {})


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n"])
def test_empty_file(content: str, tmp_path: Path) -> None:
    """A file without a setting is no mistake."""
    file = tmp_path / "config.yaml"
    file.write_text(content)

    assert load({}, {}, file) == load({}, {})


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there, or is a folder, is told with its name."""
    assert problems({}, {}, tmp_path / "no.yaml") == (f"{tmp_path}/no.yaml: No such file or directory",)
    assert problems({}, {}, tmp_path) == (f"{tmp_path}: Is a directory",)


def test_large_file(tmp_path: Path) -> None:
    """A file is read up to the limit, and one without an end not at all."""
    (tmp_path / "large").write_bytes(b"#" * 1024 * 1024 + b"\n")

    assert problems({}, {}, tmp_path / "large") == (f"{tmp_path}/large: larger than 1048576 bytes",)
    assert problems({}, {}, Path("/dev/zero")) == ("/dev/zero: no regular file",)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("90", 90.0),
        ("1.5", 1.5),
        ("90s", 90.0),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("5m", 300.0),
        ("5m250ms", 300.25),
        ("1h30m", 5400.0),
        ("1d2h3m4s5ms", 93784.005),
        (" 10m ", 600.0),
        (7, 7.0),
        (0.5, 0.5),
        ("3649d", 3649 * 86400.0),
    ],
)
def test_duration(given: object, seconds: float) -> None:
    """Days, hours, minutes, seconds and milliseconds in this order, or a bare number of seconds."""
    assert duration(given) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "given",
    ["", " ", "s", "1x", "-1s", "1m1h", "1s1s", "1.5h", "1e3", "1 h", "10M", "nan", "inf", None, True, False, [], {"a": 1}],
)
def test_no_duration(given: object) -> None:
    """Whatever else is refused, with how to write one."""
    with pytest.raises(ValueError, match=r"is no duration; write 90s, 10m or 1h30m$"):
        duration(given)


@pytest.mark.parametrize("given", [-1, -0.001, "3650d", 10**400, float("nan"), float("inf")])
def test_duration_out_of_range(given: object) -> None:
    """Less than nothing and ten years or more are refused."""
    with pytest.raises(ValueError, match=r"is not between 0 and ten years$"):
        duration(given)


@pytest.mark.parametrize(
    "given", [":0", ":10071", "localhost:1", "127.0.0.1:65535", "[::1]:10071", "[fe80::1%eth0]:80", "[::]:80"]
)
def test_listen_address(given: str) -> None:
    """host:port, [v6]:port and :port stay as they were given."""
    assert listen_address(given) == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        ":",
        "80",
        80,
        "host",
        "host:",
        "host:http",
        ":-1",
        ":65536",
        "::1:80",
        "http://x:80",
        "[]:80",
        "[localhost]:80",
        None,
    ],
)
def test_no_listen_address(given: object) -> None:
    """Whatever else is refused, with how to write one."""
    with pytest.raises(ValueError, match=r"is no listen address; write :10071, 127.0.0.1:10071 or \[::1\]:10071$"):
        listen_address(given)


def test_absolute_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path is made absolute, and ~ is opened."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")

    assert [absolute_path(path) for path in ("a/../b", "~/c", "/d")] == [f"{tmp_path}/b", "/home/ada/c", "/d"]


def test_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Home is the password database's, whatever HOME says, as Java's user.home is."""
    monkeypatch.setenv("HOME", "/elsewhere")

    assert home() == Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert drivers_dir() == f"{home()}/.lakehouse-exporter/drivers"


def test_home_of_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that the password database does not know, as in a container, has the home that HOME names."""
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    monkeypatch.setenv("HOME", "/elsewhere")

    assert home() == Path("/elsewhere")


def test_empty_section(tmp_path: Path) -> None:
    """A section whose settings are all commented out is as good as none."""
    file = tmp_path / "config.yaml"
    file.write_text("web:\n  # listen_address: :80\n")

    assert load({}, {}, file) == load({}, {})


def test_collectors() -> None:
    """Each collector has a switch, and each switch a collector."""
    switches = [setting.field for setting in settings() if setting.section == "collector"]

    assert switches[:3] + sorted(switches[3:]) == [
        *(one.name for one in (*collectors.APPLICATION, collectors.EXPECTED)),
        *sorted(one.name for one in collectors.OF_WORKSPACES if one is not collectors.REQUESTS),
    ]


@pytest.mark.parametrize("given", ["yes", "no", "1", "0", "", 1, None, "tru"])
def test_no_boolean(given: object) -> None:
    """True and false, in any case, are all that a switch takes; YAML 1.1's other words for them are quoted texts here."""
    with pytest.raises(ValueError, match="is neither true nor false"):
        boolean(given)


@pytest.mark.parametrize("given", ["", None, 5, ["a"]])
def test_no_name(given: object) -> None:
    """A name is a text with something in it."""
    with pytest.raises(ValueError, match="a name is expected"):
        name(given)


def test_no_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path can't be told from a folder that is gone: that is a problem of the setting, and no traceback."""

    def gone() -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("os.getcwd", gone)
    with pytest.raises(ValueError, match="'state' has no place: No such file or directory"):
        absolute_path("state")


def test_as_many_as_may_be(tmp_path: Path) -> None:
    """As many streams as may be expected, with names as long as most, fit into a file."""
    file = tmp_path / "settings.yaml"
    file.write_text("expected:\n" + "".join(f"- {{app: {'a' * 200}, query: q{number:05}}}\n" for number in range(2000)))

    assert len(load({}, {}, file).expected) == 2000


@pytest.mark.parametrize(
    "content", ["web: {a: @hidden}", "web: !hidden", "a: *hidden", "a: 'hidden", "a: \thidden: b: c", "\0hidden"]
)
def test_no_content_in_problems(content: str, tmp_path: Path) -> None:
    """What is wrong with a file is told by its place: a line of a web configuration may hold a password."""
    file = tmp_path / "settings.yaml"
    file.write_text(content)

    assert "hidden" not in " ".join(problems({}, {}, file))


def test_pipe(tmp_path: Path) -> None:
    """A pipe, which would be waited for, is refused."""
    os.mkfifo(tmp_path / "pipe")

    assert problems({}, {}, tmp_path / "pipe") == (f"{tmp_path}/pipe: no regular file",)


def test_interval() -> None:
    """An interval is a duration of more than nothing."""
    assert interval("24h") == 86400.0
    with pytest.raises(ValueError, match="longer than 0 seconds is expected"):
        interval("0s")


def test_expected(tmp_path: Path) -> None:
    """The streams that a file names, in its order; without a schedule one must run always."""
    file = tmp_path / "settings.yaml"
    file.write_text("expected:\n- {app: b, query: two, schedule: 24h}\n- {app: a, query: one}\n")

    assert load({}, {}, file).expected == (Expected("b", "two", 86400.0), Expected("a", "one"))


@pytest.mark.parametrize("content", ["expected:\n", "expected: []\n"])
def test_nothing_expected(content: str, tmp_path: Path) -> None:
    """An empty list, or one whose entries are all commented out, names nothing."""
    file = tmp_path / "settings.yaml"
    file.write_text(content)

    assert load({}, {}, file) == Config()


def test_every_problem_of_expected(tmp_path: Path) -> None:
    """Each entry's every mistake is told at once, with its number."""
    file = tmp_path / "settings.yaml"
    file.write_text(
        "expected:\n- {app: a, query: one, schedule: soon, querry: x}\n- {query: ''}\n- text\n- {app: a, query: b}\n- {app: a, query: b}\n"
    )

    assert problems({}, {}, file) == (
        f"{file}: expected[0]: unknown key 'querry'; did you mean 'query'?",
        f"{file}: expected[0].schedule: 'soon' is no duration; write 90s, 10m or 1h30m",
        f"{file}: expected[1]: app is missing",
        f"{file}: expected[1].query: a name is expected, not ''",
        f"{file}: expected[2]: a stream is expected, as in {{app: orders, query: bronze}}, not 'text'",
        f"{file}: expected[4]: the same as [3]",
    )


@pytest.mark.parametrize("given", ["", "a/b", ".hidden", "x" * 65, "é", 5, None])
def test_no_identifier(given: object) -> None:
    """What stands in a URL and names a file is letters, digits and a few signs."""
    with pytest.raises(ValueError, match="is no name of letters"):
        identifier(given)


@pytest.mark.parametrize("given", [0, -1, True, "5", None, float("inf"), float("nan")])
def test_no_positive(given: object) -> None:
    """A number above 0 is none of these."""
    with pytest.raises(ValueError, match="is no number above 0"):
        positive(given)


def test_workspaces(tmp_path: Path) -> None:
    """The workspaces that a file names, with what each says of itself."""
    file = tmp_path / "settings.yaml"
    file.write_text(
        "workspaces:\n- {name: prod, host: h, client_id: c, client_secret_file: /s, tags: [team], burst: 3}\n"
        "- {name: dev, host: h, token_file: /t, requests_per_second: 0.5}\n"
    )

    assert load({}, {}, file).workspaces == (
        WorkspaceSettings("prod", "h", client_id="c", client_secret_file="/s", tags=("team",), burst=3),
        WorkspaceSettings("dev", "h", token_file="/t", requests_per_second=0.5),
    )


def test_every_problem_of_workspaces(tmp_path: Path) -> None:
    """Each entry's every mistake is told at once, with its number or its name."""
    file = tmp_path / "settings.yaml"
    file.write_text(
        "workspaces:\n- {name: a/b, host: h, token_file: /t}\n- {name: b, host: h}\n- {name: c, host: h, client_secret_file: /s}\n"
        "- {name: d, host: h, token_file: /t, profile: p}\n- {name: e, tokenfile: /t}\n- {name: f, host: h, token_file: /t, tags: x}\n"
    )

    assert problems({}, {}, file) == (
        f"{file}: workspaces[0].name: 'a/b' is no name of letters, digits, _, - and .",
        f"{file}: workspaces: b: one of token_file, client_secret_file, oidc_token_file or profile is expected",
        f"{file}: workspaces: c: client_id is missing",
        f"{file}: workspaces: d: one of token_file, client_secret_file, oidc_token_file or profile is expected",
        f"{file}: workspaces[4]: unknown key 'tokenfile'; did you mean 'token_file'?",
        f"{file}: workspaces[4]: host is missing",
        f"{file}: workspaces[5].tags: a list of names is expected, not 'x'",
    )
