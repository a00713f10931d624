"""A headless Chromium, driven over the WebDriver protocol; the only module that knows how to speak it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--disable-lcd-text",
)
# WebDriver's numbers for keys that write nothing.
ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_SECONDS = 60.0


class Browser:
    """One window. What a script answers is JSON's."""

    def __init__(self, port: int, profile: Path) -> None:
        self._port = port
        self._session = ""
        options = {"binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, condition: str) -> None:
        """Waits until an expression of the page's is true, asked at each frame; raises where it never is."""
        script = "const done = arguments[0]; const ask = () => (%s) ? done(true) : requestAnimationFrame(ask); ask();"
        self._call("POST", "/execute/async", {"script": script % condition, "args": []})

    def click(self, selector: str) -> None:
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        self._call("POST", f"/element/{found[_ELEMENT]}/click", {})

    def press(self, *keys: str) -> None:
        """Presses keys one after another, wherever the focus is."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def complaints(self) -> list[str]:
        """What the browser has written into its console since it was last asked: violated policies among it."""
        return [line["message"] for line in self._call("POST", "/se/log", {"type": "browser"})]

    def screen(self, width: int, height: int, *, scale: float = 1, mobile: bool = False, dark: bool = False) -> None:
        """What the page is shown on."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self._devtools("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def picture(self) -> bytes:
        """What is to be seen, as PNG."""
        return base64.b64decode(self._devtools("Page.captureScreenshot", {"format": "png"})["data"])

    def close(self) -> None:
        self._call("DELETE", "", None)

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json; charset=utf-8"}
            connection.request(method, self._session + path, None if body is None else json.dumps(body), headers)
            value = json.loads(connection.getresponse().read())["value"]
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{value['error']}: {value['message']}")
        return value


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in `folder`; times of day are UTC's."""
    command = ["chromedriver", "--port=0", f"--log-path={folder / 'chromedriver.log'}"]
    environment = {**os.environ, "TZ": "UTC"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as driver:
        try:
            yield from _window(driver, folder)
        finally:
            driver.terminate()


def _window(driver: subprocess.Popen[str], folder: Path) -> Iterator[Browser]:
    started = (re.search(r"successfully on port (\d+)", line) for line in driver.stdout or ())
    found = next(match for match in started if match)
    window = Browser(int(found[1]), folder / "profile")
    try:
        yield window
    finally:
        window.close()
