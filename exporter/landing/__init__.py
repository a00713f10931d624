"""The landing page: this folder's files as they are, and the overview as JSON; hands out answers, serves nothing itself."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

from exporter.overview import as_json, overview
from exporter.snapshot import Store

Headers = tuple[tuple[str, str], ...]
# Status, content type, body, and headers besides.
Resource = Callable[[], tuple[int, str, bytes, Headers]]

API = "/api/v1/streams"

# Nothing but what this server sends may run, style, load or be asked; nobody may frame the page.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE: Headers = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
# A new version's page must not run an old one's script.
_PAGE: Headers = (*_SAFE, ("Cache-Control", "no-cache"))
_NOW: Headers = (*_SAFE, ("Cache-Control", "no-store"))


def resources(store: Store, clock: Callable[[], float], metrics_path: str = "/metrics") -> dict[str, Resource]:
    """What to answer under which path; `clock` gives seconds since 1970."""
    folder = Path(__file__).parent
    page = (folder / "landing.html").read_text(encoding="utf-8").replace("./metrics", html.escape(f".{metrics_path}"))
    return {
        "/": _fixed("text/html; charset=utf-8", page.encode()),
        "/landing.css": _fixed("text/css; charset=utf-8", (folder / "landing.css").read_bytes()),
        "/landing.js": _fixed("text/javascript; charset=utf-8", (folder / "landing.js").read_bytes()),
        API: lambda: (200, "application/json", as_json(overview(store.view(), clock())), _NOW),
    }


def _fixed(content_type: str, body: bytes) -> Resource:
    return lambda: (200, content_type, body, _PAGE)
