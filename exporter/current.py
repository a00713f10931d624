"""The settings in force: read at the start and whenever somebody says so; settings that can't be used change nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec
import structlog

from exporter.config import Config, settings
from exporter.errors import ConfigError

log = structlog.get_logger()


class Current:
    """Holds the settings; `config` may be read from any thread, and is of one moment.

    `load` reads them; the ConfigError that it raises with every problem is raised by this, too, when it is made. `applied` is
    told of those in force, at the start and at each change. `clock` gives seconds since 1970.
    """

    def __init__(
        self, load: Callable[[], Config], clock: Callable[[], float], applied: Callable[[Config], None] = lambda _: None
    ) -> None:
        self._load = load
        self._clock = clock
        self._applied = applied
        self._lock = threading.Lock()
        self.config = load()
        applied(self.config)
        # Whether the last attempt succeeded, and when one last did.
        self.loaded = True
        self.loaded_at = clock()

    def reload(self) -> bool:
        """Reads the settings anew; False, with every problem in the log, where they can't be used and the old ones go on.

        Those that are fixed at the start stay as they are; a change of one is told in the log.
        """
        with self._lock:
            try:
                found = self._load()
            except ConfigError as error:
                self.loaded = False
                for problem in error.problems:
                    log.error("settings not read anew; the old ones go on", problem=problem)
                return False
            except Exception:  # a fault of ours in reading them must not end what goes on without them
                self.loaded = False
                log.exception("settings not read anew; the old ones go on")
                return False
            self.config = _with_fixed_of(self.config, found)
            self._applied(self.config)
            self.loaded, self.loaded_at = True, self._clock()
            log.info("settings read anew")
            return True


def _with_fixed_of(old: Config, new: Config) -> Config:
    for setting in settings():
        section, before = getattr(new, setting.section), getattr(getattr(old, setting.section), setting.field)
        if setting.fixed and getattr(section, setting.field) != before:
            log.warning("setting changed, which takes effect at the next start", setting=setting.key)
            kept = msgspec.structs.replace(section, **{setting.field: before})
            new = msgspec.structs.replace(new, **{setting.section: kept})
    if new.workspaces != old.workspaces:
        log.warning("setting changed, which takes effect at the next start", setting="workspaces")
        new = msgspec.structs.replace(new, workspaces=old.workspaces)
    return new
