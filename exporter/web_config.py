"""The web configuration file, in the format of Prometheus' exporters: read, judged, and every problem told with its place."""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from exporter.errors import ConfigError
from exporter.yaml_file import document, nearest

MAX_COST = 14
_MAX_PEM_BYTES = 1024 * 1024
_BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

_VERSIONS = {f"TLS1{minor}": ssl.TLSVersion[f"TLSv1_{minor}" if minor else "TLSv1"] for minor in range(4)}
# What Python's ssl can't do, asking for a certificate without looking at it, is a closed door that looks like an open one.
_CLIENT_AUTH = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_CIPHERS = {
    f"TLS_{go}": openssl
    for kx, prefix in (("ECDHE_ECDSA", "ECDHE-ECDSA-"), ("ECDHE_RSA", "ECDHE-RSA-"), ("RSA", ""))
    for go, openssl in (
        (f"{kx}_WITH_AES_128_CBC_SHA", f"{prefix}AES128-SHA"),
        (f"{kx}_WITH_AES_256_CBC_SHA", f"{prefix}AES256-SHA"),
        (f"{kx}_WITH_AES_128_GCM_SHA256", f"{prefix}AES128-GCM-SHA256"),
        (f"{kx}_WITH_AES_256_GCM_SHA384", f"{prefix}AES256-GCM-SHA384"),
        *([(f"{kx}_WITH_CHACHA20_POLY1305_SHA256", f"{prefix}CHACHA20-POLY1305")] if prefix else []),
    )
}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
_TLS_KEYS = (
    "cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type", "client_allowed_sans",
    "min_version", "max_version", "cipher_suites", "prefer_server_cipher_suites", "curve_preferences",
)  # fmt: skip


class Rate(NamedTuple):
    """A bucket of `burst` requests that one more flows into each `interval` seconds."""

    interval: float
    burst: int


class WebConfig(NamedTuple):
    """What the file asks for; `files` are those whose change is a change of it."""

    context: ssl.SSLContext | None = None
    allowed_names: frozenset[str] = frozenset()
    headers: tuple[tuple[str, str], ...] = ()
    users: Mapping[str, bytes] = {}
    rate: Rate | None = None
    files: tuple[Path, ...] = ()


class _Problems:
    """What is wrong with one file, gathered place by place."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.told: list[str] = []

    def add(self, place: str, words: str) -> None:
        self.told.append(f"{self.file}: {place}: {words}")

    def section(self, parent: Mapping[str, Any], key: str, known: tuple[str, ...] | None, place: str = "") -> dict[str, Any]:
        """The mapping under `key`, its keys as text; those that are not `known` are problems."""
        place = f"{place}{key}"
        found = parent.get(key)
        if found is None:
            return {}
        if not isinstance(found, dict):
            self.add(place, f"settings are expected, not {type(found).__name__}")
            return {}
        content = {str(name): value for name, value in found.items()}
        for name in content if known is not None else ():
            if name not in (known or ()):
                self.add(place, f"unknown key {name!r}{nearest(name, set(known or ()))}")
        return content

    def text(self, place: str, value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
        self.add(place, "a text is expected")
        return ""

    def texts(self, place: str, value: object) -> tuple[str, ...]:
        if value is None:
            return ()
        if isinstance(value, list):
            return tuple(self.text(place, member) for member in value)
        self.add(place, "a list is expected")
        return ()

    def flag(self, place: str, value: object) -> None:
        if value is not None and not isinstance(value, bool):
            self.add(place, "true or false is expected")

    def of(self, place: str, value: object, choices: Mapping[str, Any]) -> Any:
        """What `value` chooses; no message quotes a value, for a password may stand in the wrong place."""
        text = self.text(place, value)
        if text not in choices:
            self.add(place, f"none of {', '.join(choice for choice in choices if choice)}")
            return None
        return choices[text]


def read(file: Path) -> WebConfig:
    """The file as it is now; raises ConfigError with every problem at once. No problem quotes what may be a secret."""
    problems = _Problems(file)
    content = document(file, problems.told)
    known = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
    for name in content:
        if name not in known:
            problems.told.append(f"{file}: unknown key {name!r}{nearest(name, set(known))}")
    users = {user: _hash(problems, user, value) for user, value in problems.section(content, "basic_auth_users", None).items()}
    headers = _headers(problems, content)
    rate = _rate(problems, problems.section(content, "rate_limit", ("interval", "burst")))
    tls = problems.section(content, "tls_server_config", _TLS_KEYS)
    files: list[Path] = [file]
    context = _context(problems, tls, files)
    names = frozenset(problems.texts("tls_server_config.client_allowed_sans", tls.get("client_allowed_sans")))
    if problems.told:
        raise ConfigError(tuple(problems.told))
    return WebConfig(context, names, headers, users, rate, tuple(files))


def _hash(problems: _Problems, user: str, value: object) -> bytes:
    text = value if isinstance(value, str) else ""
    # Go's bcrypt, too, looks at the first 60 characters alone.
    found = _BCRYPT.match(text)
    if not found:
        problems.add(f"basic_auth_users.{user}", "not a bcrypt hash")
    elif not 4 <= int(found[1]) <= MAX_COST:  # noqa: PLR2004 -- bcrypt's least
        problems.add(
            f"basic_auth_users.{user}", f"a cost between 4 and {MAX_COST} is expected: more keeps a processor busy for seconds"
        )
    return found[0].encode() if found else b""


def _headers(problems: _Problems, content: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    server = problems.section(content, "http_server_config", ("http2", "headers"))
    problems.flag("http_server_config.http2", server.get("http2"))
    found = []
    for name, value in problems.section(server, "headers", tuple(_HEADERS), "http_server_config.").items():
        place = f"http_server_config.headers.{name}"
        text = problems.text(place, value)
        if any(not " " <= letter <= "~" for letter in text):
            problems.add(place, "plain characters on one line are expected")
        elif _HEADERS.get(name) and text not in _HEADERS[name]:
            problems.add(place, f"none of {', '.join(_HEADERS[name])}")
        elif text:
            found.append((name, text))
    return tuple(found)


def _rate(problems: _Problems, section: Mapping[str, Any]) -> Rate | None:
    interval, burst = section.get("interval", 0), section.get("burst", 0)
    parts = _GO_DURATION.findall(str(interval))
    if isinstance(interval, int) and not isinstance(interval, bool) and interval >= 0:
        seconds = interval * 1e-9
    elif isinstance(interval, str) and (interval == "0" or (parts and "".join(map("".join, parts)) == interval)):
        seconds = sum(float(number) * _GO_UNITS[unit] for number, unit in parts)
    else:
        problems.add("rate_limit.interval", "a duration like 1s or 1m30s is expected")
        return None
    if isinstance(burst, bool) or not isinstance(burst, int) or burst < (1 if seconds else 0):
        problems.add("rate_limit.burst", "a number of requests, at least 1, is expected")
        return None
    return Rate(seconds, burst) if seconds else None


class _Terms(NamedTuple):
    """How a connection is encrypted."""

    least: ssl.TLSVersion | None
    most: ssl.TLSVersion | None
    ciphers: tuple[str, ...]
    curves: tuple[str, ...]
    prefer_own: bool

    def put(self, context: ssl.SSLContext) -> None:
        """Raises ssl.SSLError or ValueError for what this OpenSSL can't do."""
        older = [_CIPHERS[cipher] for cipher in self.ciphers if cipher in _CIPHERS]
        # TLS 1.3 has ciphers of its own: where only those are named, nothing older is wanted.
        least = ssl.TLSVersion.TLSv1_3 if self.ciphers and not older else self.least
        assert least is not None  # noqa: S101 -- else it was a problem
        assert self.most is not None  # noqa: S101 -- the same
        context.minimum_version, context.maximum_version = least, self.most
        if older:
            context.set_ciphers(":".join(older))
        for curve in self.curves:
            context.set_ecdh_curve(curve)
        if self.prefer_own:
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])


def _terms(problems: _Problems, tls: Mapping[str, Any]) -> _Terms:
    place = "tls_server_config."
    ciphers = problems.texts(f"{place}cipher_suites", tls.get("cipher_suites"))
    for cipher in ciphers:
        if cipher not in _CIPHERS and cipher not in _TLS13:
            problems.add(f"{place}cipher_suites", f"unknown cipher{nearest(cipher, {*_CIPHERS, *_TLS13})}")
    names = problems.texts(f"{place}curve_preferences", tls.get("curve_preferences"))
    curves = tuple(problems.of(f"{place}curve_preferences", name, _CURVES) for name in names)
    if len(curves) > 1:
        problems.add(f"{place}curve_preferences", "at most one curve can be set here")
    problems.flag(f"{place}prefer_server_cipher_suites", tls.get("prefer_server_cipher_suites"))
    least = problems.of(f"{place}min_version", tls.get("min_version", "TLS12"), _VERSIONS)
    most = problems.of(f"{place}max_version", tls.get("max_version", "TLS13"), _VERSIONS)
    if least is not None and most is not None and least > most:
        problems.add(f"{place}max_version", "is less than min_version: no client could connect")
    return _Terms(least, most, ciphers, curves, tls.get("prefer_server_cipher_suites") is not False)


def _client_auth(problems: _Problems, tls: Mapping[str, Any]) -> str:
    place = "tls_server_config.client_auth_type"
    auth = problems.text(place, tls.get("client_auth_type"))
    if auth in _UNVERIFIED:
        problems.add(place, "a certificate that nobody verifies is not asked for; use RequireAndVerifyClientCert")
    elif auth not in _CLIENT_AUTH:
        problems.add(place, f"none of {', '.join(name for name in _CLIENT_AUTH if name)}")
    return auth


def _context(problems: _Problems, tls: Mapping[str, Any], files: list[Path]) -> ssl.SSLContext | None:
    before = len(problems.told)
    terms = _terms(problems, tls)
    auth = _client_auth(problems, tls)
    cert, key, authorities = (_pem(problems, tls, name, files) for name in ("cert", "key", "client_ca"))
    if cert is None and key is None and authorities is None and not auth:
        return None
    if cert is None:
        problems.add("tls_server_config", "cert_file is missing")
    if key is None:
        problems.add("tls_server_config", "key_file is missing")
    if authorities is not None and auth in ("", "NoClientCert"):
        problems.add("tls_server_config.client_auth_type", "is missing: a client_ca is given")
    if cert is None or key is None or len(problems.told) > before:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _tried(problems, "tls_server_config", lambda: terms.put(context))
    _tried(problems, "tls_server_config.cert_file, key_file", lambda: _chain(context, cert, key))
    if authorities is not None:
        _tried(problems, "tls_server_config.client_ca_file", lambda: _trust(context, authorities))
    context.verify_mode = _CLIENT_AUTH[auth]
    return context


def _pem(problems: _Problems, tls: Mapping[str, Any], name: str, files: list[Path]) -> bytes | None:
    place = f"tls_server_config.{name}_file"
    before = len(problems.told)
    named = problems.text(place, tls.get(f"{name}_file"))
    if len(problems.told) > before:
        return b""
    if not named:
        return problems.text(f"tls_server_config.{name}", tls.get(name)).encode() or None
    path = problems.file.parent / named
    files.append(path)
    try:
        if not path.is_file():  # a FIFO would be waited for
            raise FileNotFoundError(2, "No such file")
        with path.open("rb") as opened:
            return opened.read(_MAX_PEM_BYTES)
    except OSError as error:
        problems.add(place, f"{path}: {error.strerror}")
        return b""


def _tried(problems: _Problems, place: str, step: Callable[[], None]) -> None:
    try:
        step()
    except (ssl.SSLError, ValueError, OSError) as error:
        problems.add(place, f"not usable: {getattr(error, 'reason', None) or error.args[-1]}")


def _chain(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    # Both as they were read, in one file that nobody else can: a swap between two reads would pair the new with the old.
    with tempfile.NamedTemporaryFile(prefix="lakehouse-exporter-") as both:
        both.write(cert + b"\n" + key)
        both.flush()
        # Asked for on the terminal otherwise.
        context.load_cert_chain(both.name, password=b"")


def _trust(context: ssl.SSLContext, pem: bytes) -> None:
    context.load_verify_locations(cadata=pem.decode("ascii"))
