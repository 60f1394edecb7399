"""Settings that change while the service runs, the same on every process."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import PurePath
from typing import Final

from service.audit import Act, Actor, AuditEntry
from service.errors import InvalidSettings, MediaRootFixed
from service.ports import Clock, Database

log = logging.getLogger("magpie.settings")
NAME = "settings"
COOKIES_FOLDER = "cookies"
MAX_WIDTH, MAX_INTERVAL = 64, 7 * 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`max_concurrent_downloads` is per process; None is what MAGPIE_WORKERS says."""

    link_monitor_interval_minutes: int = 60
    max_concurrent_downloads: int | None = None
    site_cookies_json: str = "{}"
    """By site, the path of a cookies.txt below DATA_DIR/cookies."""

    def checked(self) -> Settings:
        """Raises `InvalidSettings`."""
        if not 1 <= self.link_monitor_interval_minutes <= MAX_INTERVAL:
            raise InvalidSettings("link_monitor_interval_minutes", f"From 1 to {MAX_INTERVAL} minutes.")
        if self.max_concurrent_downloads is not None and not 1 <= self.max_concurrent_downloads <= MAX_WIDTH:
            raise InvalidSettings("max_concurrent_downloads", f"From 1 to {MAX_WIDTH}.")
        self.cookie_files()
        return self

    def cookie_files(self) -> dict[str, str]:
        """By site, a path below the folder of cookies. Raises `InvalidSettings`."""
        try:
            given = json.loads(self.site_cookies_json)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise InvalidSettings("site_cookies_json", 'A JSON object of sites and files is accepted, such as {"pixiv": "pixiv.txt"}.')
        return {site: _below(path) for site, path in given.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChange:
    """None leaves it as it is."""

    link_monitor_interval_minutes: int | None = None
    max_concurrent_downloads: int | None = None
    media_root: str | None = None
    site_cookies_json: str | None = None


def _below(path: str) -> str:
    """Relative to the folder of cookies, whether it was given so or from the data directory."""
    parts = PurePath(path).parts
    if COOKIES_FOLDER in parts and PurePath(path).is_absolute():
        parts = parts[len(parts) - parts[::-1].index(COOKIES_FOLDER) :]
    if not parts or ".." in parts or PurePath(*parts).is_absolute() or not all(part.isprintable() for part in parts):
        raise InvalidSettings("site_cookies_json", f"Files of cookies lie below DATA_DIR/{COOKIES_FOLDER}.")
    return str(PurePath(*parts))


class LiveSettings:
    """Each process looks at them again from time to time (`refresh`), and at once when it changed them itself."""

    def __init__(self, *, database: Database, clock: Clock, media_root: str, width: int) -> None:
        self._database, self._clock, self._width = database, clock, width
        self.media_root = media_root
        self._present = Settings()
        self._listeners: list[Callable[[Settings], None]] = []

    @property
    def present(self) -> Settings:
        """As last read."""
        return self._present

    @property
    def width(self) -> int:
        """Downloads at once in this process."""
        return self._present.max_concurrent_downloads or self._width

    def on_change(self, listener: Callable[[Settings], None]) -> None:
        self._listeners.append(listener)

    async def refresh(self) -> Settings:
        async with self._database.read() as transaction:
            kept = await transaction.kept_values.get(NAME)
        self._take(_read(kept))
        return self._present

    async def change(self, actor: Actor, change: SettingsChange) -> Settings:
        """Raises `InvalidSettings`, and `MediaRootFixed` for another media root."""
        if change.media_root is not None and change.media_root != self.media_root:
            raise MediaRootFixed
        given = {field.name: getattr(change, field.name) for field in fields(Settings)}
        async with self._database.write() as transaction:
            present = _read(await transaction.kept_values.get(NAME))
            changed = replace(present, **{name: value for name, value in given.items() if value is not None}).checked()
            if changed != present:
                await transaction.kept_values.put(NAME, _written(changed))
                names = ", ".join(field.name for field in fields(Settings) if getattr(present, field.name) != getattr(changed, field.name))
                entry = AuditEntry(at=self._clock.now(), account_id=actor.account_id, action=Act.SETTINGS_CHANGED, details=names)
                await transaction.audit.add(entry)
        self._take(changed)
        return changed

    def _take(self, settings: Settings) -> None:
        if settings == self._present:
            return
        self._present = settings
        for listener in self._listeners:
            listener(settings)


def _written(settings: Settings) -> str:
    return json.dumps({field.name: getattr(settings, field.name) for field in fields(Settings)})


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "link_monitor_interval_minutes": (int,),
    "max_concurrent_downloads": (int, type(None)),
    "site_cookies_json": (str,),
}


def settings_from(kept: str) -> Settings:
    """As they were written down. Raises `InvalidSettings`."""
    try:
        told = json.loads(kept)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise InvalidSettings(NAME, "They are no JSON object.")
    given = {field.name: told[field.name] for field in fields(Settings) if field.name in told}
    for name, value in given.items():
        if type(value) not in _KINDS[name]:
            raise InvalidSettings(name, "It is of another kind.")
    return Settings(**given).checked()


def _read(kept: str | None) -> Settings:
    if kept is None:
        return Settings()
    try:
        return settings_from(kept)
    except InvalidSettings:
        log.error("the stored settings cannot be read; the defaults are used")  # noqa: TRY400 - the traceback adds nothing
        return Settings()
