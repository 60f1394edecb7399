"""Makes the parts that `run`, `download` and `doctor` share out of the settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from obstore.store import from_url

from magpie.config import Config, ConfigError
from scraper.egress import EgressPolicy
from scraper.extractors import FreshExtractors
from scraper.fetcher import YtDlpFetcher
from scraper.workers import ScraperConfig
from service.errors import EngineBusy
from service.run import RunPolicy
from storage.engine_lock import EngineLock
from storage.media import DiskMedia, S3Media
from storage.vault import MultiFernetVault, secret_keys_from


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class RandomIds:
    """UUIDs of version 4."""

    def new(self) -> UUID:
        return uuid4()


@dataclass(frozen=True, slots=True)
class Secrets:
    """The vault, and the texts that must never appear in a log."""

    vault: MultiFernetVault
    texts: tuple[str, ...]


def make_data_dir(config: Config) -> None:
    """Only the service's own user may look into it. Raises `OSError`."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_secrets(config: Config) -> Secrets:
    """The keys from the settings, else from a file made on the first start. Raises `OSError`, `ConfigError` for a file without keys."""
    file = config.data_dir / "secret.key"
    keys = config.secret_keys or secret_keys_from(file)
    password = urlsplit(config.database).password
    try:
        return Secrets(MultiFernetVault(keys), (*keys, *([password] if password else [])))
    except ValueError as wrong:
        raise ConfigError(f"{file}: {wrong}; put the right file back, or set MAGPIE_SECRET_KEYS") from None


def make_media(config: Config) -> DiskMedia | S3Media:
    """Local disk, or S3 with the credentials that the usual `AWS_*` variables give."""
    if config.media.startswith("s3://"):
        return S3Media(from_url(config.media), config.data_dir.absolute() / "work")
    root = Path(config.media)
    root.mkdir(mode=0o750, parents=True, exist_ok=True)
    return DiskMedia(root)


def make_policy(config: Config) -> RunPolicy:
    return RunPolicy(
        max_file_size=config.max_file_size,
        max_duration=config.max_duration,
        max_time=config.max_job_time,
        min_free_disk=config.min_free_disk,
    )


def lock_file(config: Config) -> Path | None:
    """Where the engine's lock is; None on PostgreSQL, which needs none."""
    if not config.is_sqlite:
        return None
    return Path(config.database.removeprefix("sqlite:///") + ".lock")


def is_running(config: Config) -> bool | None:
    """Whether a service runs on this data directory; None when that cannot be told."""
    file = lock_file(config)
    if file is None:
        return None
    lock = EngineLock(file)
    try:
        lock.take()
    except EngineBusy:
        return True
    except OSError:
        return False
    lock.release()
    return False


def extractors_of(config: Config) -> FreshExtractors:
    """Where newer ones than the installed ones are kept."""
    return FreshExtractors(config.data_dir.absolute() / "extractors")


def plugin_dirs_of(config: Config) -> tuple[Path, ...]:
    """The operator's."""
    return tuple(Path(directory).absolute() for directory in config.ytdlp_plugin_dirs)


def make_fetcher(config: Config) -> YtDlpFetcher:
    """No download may reach our own port, even where an exception allows it. Raises `ConfigError` for one that cannot be read, and
    for a plugin directory that is not there.
    """
    for directory in config.ytdlp_plugin_dirs:
        if not Path(directory).is_dir():
            raise ConfigError(f"MAGPIE_YTDLP_PLUGIN_DIRS: {str(directory)!r} is not a directory")
    try:
        policy = EgressPolicy(allow=config.egress_allow, blocked_hosts=frozenset(config.blocked_hosts), own_ports=frozenset({config.port}))
    except ValueError as wrong:
        raise ConfigError(f"MAGPIE_EGRESS_ALLOW: {wrong}") from None
    return YtDlpFetcher(
        ScraperConfig(
            width=config.workers,
            state_directory=config.data_dir.absolute() / "scraper",
            policy=policy,
            plugin_dirs=plugin_dirs_of(config),
            extractors=extractors_of(config),
            max_items=config.max_items,
        )
    )
