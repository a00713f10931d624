"""Ways to sign in that only Databricks' own SDK knows (clouds' identities, profiles); alone imports it, and only when asked."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources.http import Headers

# Some strategies of the SDK ask their cloud at every call.
KEEP_SECONDS = 60.0
# New headers that were refused are no worse than the next ones would be.
PAUSE = 10.0
# Its own patience, where it has one: a token endpoint that is silent holds it for ever.
SDK_SECONDS = 5

Clock = Callable[[], float]
_FITS = re.compile(r"[\x20-\x7e]{1,65536}")


def sdk_config(settings: Mapping[str, str]) -> Any:
    """`databricks.sdk.core.Config` of these settings; `auth_type` among them keeps it from trying what is not meant."""
    from databricks.sdk.core import Config

    return Config(http_timeout_seconds=SDK_SECONDS, retry_timeout_seconds=SDK_SECONDS, **settings)


class SdkCredentials:
    """The headers that the SDK makes, asked for on a thread that nobody waits for longer than a deadline.

    `name` says in errors for whom. One thread at most: while one hangs in the SDK, every other caller waits with it.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, str],
        monotonic: Clock = time.monotonic,
        configure: Callable[[Mapping[str, str]], Any] = sdk_config,
    ) -> None:
        self._name = name
        self._settings = settings
        self._monotonic = monotonic
        self._configure = configure
        self._changed = threading.Condition()
        self._asking = False
        self._config: Any = None
        self._headers: Headers | None = None
        self._made = 0.0
        self._failure: SourceError | None = None

    def headers(self, deadline: float, refused: Headers | None = None) -> Headers:
        with self._changed:
            if self._headers is not None and self._monotonic() < self._made + (
                PAUSE if self._headers == refused else KEEP_SECONDS
            ):
                return self._headers
            if not self._asking:
                if refused is not None and self._headers == refused:
                    self._config = None  # it keeps its token, and can't be told to drop it
                self._headers = self._failure = None
                self._asking = True
                threading.Thread(target=self._ask, name=f"{self._name}-sdk", daemon=True).start()
            self._changed.wait_for(lambda: not self._asking, deadline - self._monotonic())
            if self._headers is not None:
                return self._headers
            raise SourceError(*((self._failure.reason, str(self._failure)) if self._failure else self._silent()))

    def _silent(self) -> tuple[Reason, str]:
        return Reason.TIMEOUT, f"{self._name}: the Databricks SDK gives no credentials before the deadline"

    def _ask(self) -> None:
        headers: Headers | None = None
        failure = None
        try:
            self._config = self._config or self._configure(self._settings)
            made: dict[str, str] = self._config.authenticate()
            if all(_FITS.fullmatch(value) for value in made.values()):
                headers = {name: Secret(value) for name, value in made.items()}
            else:
                failure = SourceError(Reason.BAD_ANSWER, f"{self._name}: the Databricks SDK gives what fits into no header")
        except ImportError:
            what = "the Databricks SDK is not installed: pip install lakehouse-exporter[sdk-auth]"
            failure = SourceError(Reason.UNREADABLE, f"{self._name}: {what}")
        except Exception as error:  # noqa: BLE001 -- whatever it raises, its text may hold what it signs in with
            what = f"the Databricks SDK does not sign in ({type(error).__name__})"
            failure = SourceError(Reason.UNAUTHORIZED, f"{self._name}: {what}")
        with self._changed:
            self._headers, self._failure = headers, failure
            self._made = self._monotonic()
            self._asking = False
            self._changed.notify_all()
