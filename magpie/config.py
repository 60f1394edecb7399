"""Start-time values: `MAGPIE_*` from the environment or `.env`. The one place that reads them."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "MAGPIE_"
YOUTUBE_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(s|m|h|d|)$")
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|)$", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 36500 * 86400.0
"""Seconds: more cannot be added to a date."""
_TOKEN = re.compile(r"^\d{1,20}:[A-Za-z0-9_-]{10,}$", re.ASCII)
_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


class ConfigError(Exception):
    """A setting has a wrong value. The message is one line that names it and says what is accepted."""


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        found = _DURATION.match(value.strip())
        if not found:
            raise ValueError("a duration such as 90s, 30m, 24h or 7d is accepted")
        seconds = float(found[1]) * _SECONDS[found[2]]
        if seconds > _LONGEST:
            raise ValueError("a duration of at most 36500d is accepted")
        return timedelta(seconds=seconds)
    return value


def _size(value: Any) -> Any:
    if isinstance(value, str):
        found = _SIZE.match(value.strip())
        if not found:
            raise ValueError("a size such as 500MB or 20GB is accepted")
        return int(float(found[1]) * _BYTES[found[2].upper()])
    return value


def _items(value: Any) -> Any:
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    value = tuple(host if host == "*" else host.lower().removeprefix("*.") for host in value)
    for host in value:
        if host != "*" and not re.fullmatch(r"[\w.-]+", host):
            raise ValueError("host names separated by commas are accepted, without http:// and path, or * for every host")
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for network in value:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as wrong:
            raise ValueError("addresses or networks separated by commas are accepted, such as 10.0.0.0/8") from wrong
    return value


def _web_address(value: str | None) -> str | None:
    if value is None or value == "":
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an address such as https://magpie.example.org is accepted")
    return value.rstrip("/")


def _database(value: str | None) -> str | None:
    if not value:
        return None
    if value.startswith("postgres:"):
        value = value.replace("postgres:", "postgresql:", 1)
    if not value.startswith(("sqlite:///", "postgresql://")):
        raise ValueError("sqlite:///path or postgresql://user:password@host/name is accepted")
    try:
        _ = urlsplit(value).port
    except ValueError as wrong:
        raise ValueError("the port must be a number from 0 to 65535") from wrong
    return value


def _media(value: str | None) -> str | None:
    if not value:
        return None
    if "://" in value and not value.startswith("s3://"):
        raise ValueError("a directory or s3://bucket/prefix is accepted")
    if value.startswith("s3://") and not urlsplit(value).netloc:
        raise ValueError("s3://bucket/prefix is accepted: there is no bucket in it")
    return value


def _keys(value: tuple[str, ...]) -> tuple[str, ...]:
    if any(len(key) < 16 for key in value):  # noqa: PLR2004 - the message says it
        raise ValueError("keys of at least 16 characters, separated by commas, the newest first, are accepted")
    return value


def _setup_code(value: str | None) -> str | None:
    if not value:
        return None
    if not 8 <= len(value) <= 200 or not value.isprintable():  # noqa: PLR2004 - the message says it
        raise ValueError("8 to 200 printable characters are accepted")
    return value


def _smtp(value: str | None) -> str | None:
    if not value:
        return None
    parts = urlsplit(value)
    try:
        _ = parts.port
    except ValueError as wrong:
        raise ValueError("the port must be a number from 0 to 65535") from wrong
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("smtp://user:password@host:587?from=magpie@example.org or smtps://… is accepted")
    return value


def _token(value: str | None) -> str | None:
    if not value:
        return None
    if not _TOKEN.match(value):
        raise ValueError("a token as @BotFather gives it is accepted, such as 123456789:AAExampleExampleExampleExampleExamp")
    return value


def _numbers(value: Any) -> Any:
    """Telegram's ids. A wrong one is not repeated: it may be a name or a secret put into the wrong variable."""
    try:
        return tuple(int(item) for item in _items(value))
    except (TypeError, ValueError) as wrong:
        raise ValueError("Telegram ids separated by commas are accepted: whole numbers, negative for groups") from wrong


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0))]
Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Items = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items)]
Numbers = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_numbers)]
WebAddress = Annotated[str | None, AfterValidator(_web_address)]


class Config(BaseSettings):
    """Every setting, with its default. `.env.example` explains each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = Path("data")
    database_url: Annotated[str | None, AfterValidator(_database)] = None
    media_url: Annotated[str | None, AfterValidator(_media)] = None
    bot_token: Annotated[str | None, AfterValidator(_token)] = Field(default=None, repr=False)
    bot_api_url: WebAddress = None
    admins: Numbers = ()
    allowed_users: Numbers = ()
    allowed_chats: Numbers = ()
    open_to_all: bool = False
    vault_chat: int | None = None
    host: Items = ("localhost",)
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    public_url: WebAddress = None
    webhook_url: WebAddress = None
    trust_local: bool = True
    trusted_proxies: Annotated[Items, AfterValidator(_networks)] = ()
    anonymous_downloads: bool = False
    auto_download_hosts: Annotated[Items, AfterValidator(_host_names)] = YOUTUBE_HOSTS
    blocked_hosts: Annotated[Items, AfterValidator(_host_names)] = ()
    egress_allow: Items = ()
    secret_keys: Annotated[Items, AfterValidator(_keys)] = ()
    setup_code: Annotated[str | None, AfterValidator(_setup_code)] = Field(default=None, repr=False)
    smtp_url: Annotated[str | None, AfterValidator(_smtp)] = Field(default=None, repr=False)
    link_ttl: Duration = timedelta(hours=24)
    max_file_size: Size = 20 * 10**9
    max_duration: Duration = timedelta(hours=12)
    max_job_time: Duration = timedelta(hours=6)
    max_items: Annotated[int, Field(ge=1, le=5000)] = 200
    min_free_disk: Size = 10**9
    workers: Annotated[int, Field(ge=1, le=64)] = 4
    ytdlp_plugin_dirs: Items = ()
    update_extractors: Literal["off", "weekly"] = "off"
    log_format: Literal["auto", "human", "json"] = "auto"
    log_dir: Path | None = None

    @property
    def database(self) -> str:
        """The database's address, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute()}/magpie.db"

    @property
    def is_sqlite(self) -> bool:
        return self.database.startswith("sqlite:")

    @property
    def media(self) -> str:
        """A directory, or `s3://…`."""
        return self.media_url or str(self.data_dir.absolute() / "media")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses to listen on."""
        return tuple(address for host in self.host for address in (("127.0.0.1", "::1") if host == "localhost" else (host,)))

    @property
    def listens_on_loopback_only(self) -> bool:
        return all(_is_loopback(host) for host in self.hosts)

    @property
    def is_for_this_machine_only(self) -> bool:
        """Nothing listens beyond loopback, and no address by which the world would come in is named."""
        outside = [url for url in (self.public_url, self.webhook_url) if url and not _leads_to_loopback(url)]
        return self.listens_on_loopback_only and not outside


def _leads_to_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def settle_environment() -> None:
    """What libraries read from the environment. Telegram's durations as such: python-telegram-bot warns about numbers."""
    os.environ["PTB_TIMEDELTA"] = "1"


def read_config(**overrides: Any) -> Config:
    """Raises `ConfigError` for the first wrong value."""
    try:
        config = Config(**overrides)
    except ValidationError as wrong:
        raise ConfigError(_first_line(wrong)) from None
    if not config.is_sqlite and not config.secret_keys:
        raise ConfigError(
            f"{PREFIX}SECRET_KEYS must be given when the database is PostgreSQL: every process needs the same. "
            'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return config


def _first_line(wrong: ValidationError) -> str:
    error = wrong.errors(include_url=False, include_input=False, include_context=False)[0]
    name = f"{PREFIX}{str(error['loc'][0]).upper()}"
    return f"{name}: {error['msg'].removeprefix('Value error, ')}"


def unknown_names(environment: Iterable[str] = os.environ) -> list[str]:
    """Variables that look like settings and are none: probably a slip of the pen."""
    known = {f"{PREFIX}{name.upper()}" for name in Config.model_fields}
    return sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)
