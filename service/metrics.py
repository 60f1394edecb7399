"""What is counted and measured of the service: who counts, and the figures that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from service.health import Finding, Stage

# --- who counts -------------------------------------------------------------------------------------------------------


class HttpMeter(Protocol):
    """Hears of every request when it has been answered."""

    def answered(self, *, method: str, route: str, status: int, seconds: float | None) -> None:
        """`route` is the path as it is declared. `seconds` is None for a stream, which lasts as long as its reader, and for
        what broke off.
        """
        ...


class TelegramMeter(Protocol):
    """Hears of every call to Telegram. A group is what calls have in common that queue together."""

    def waited(self, group: str, seconds: float) -> None:
        """A call was held back so long before it was made."""
        ...

    def called(self, group: str, outcome: str) -> None: ...


class Unmetered:
    """Counts nothing."""

    def waited(self, group: str, seconds: float) -> None:
        """Nothing to do."""

    def called(self, group: str, outcome: str) -> None:
        """Nothing to do."""


# --- figures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """Jobs that are under way, lists aside: their items count."""

    queued: int = 0
    """They wait for a place of the engine."""
    held: int = 0
    """They wait for something else: a place of their account, or another job that fetches the same."""
    running: int = 0
    oldest: datetime | None = None
    """When the one that has been queued longest came into the queue."""

    def lag(self, now: datetime) -> timedelta:
        """How long that one waits."""
        return timedelta(0) if self.oldest is None else max(timedelta(0), now - self.oldest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What is there. A download session is active until it closes or expires, a job until it ends."""

    active_sessions: int = 0
    total_sessions: int = 0
    active_jobs: int = 0
    total_jobs: int = 0
    stored_files: int = 0
    stored_bytes: int = 0


class FigureRows(Protocol):
    """Counted in the database, in few statements."""

    async def queue(self) -> QueueFigures: ...
    async def oldest_queued(self) -> datetime | None: ...
    async def totals(self, now: datetime) -> Totals: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFigures:
    """The machine that the service runs on. The disk is the one with the data directory."""

    cpus: int
    cpu_percent: float
    memory_total_bytes: int
    memory_used_bytes: int
    disk_total_bytes: int
    disk_used_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFigures:
    """Answered since the start; `failed` are those with a status of 500 or more."""

    total: int = 0
    failed: int = 0
    average_seconds: float | None = None
    """Streams aside; None before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures that people look at."""

    totals: Totals
    machine: MachineFigures
    requests: RequestFigures
    uptime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The service in detail. `queue` is None while the database does not answer; `telegram` without a chat."""

    state: Stage
    findings: Mapping[str, Finding]
    uptime: timedelta
    versions: Mapping[str, str | None]
    extractors: Mapping[str, str | None]
    queue: QueueFigures | None
    lag: timedelta | None
    width: int
    processes: int
    telegram: str | None
    engine: str
    database: str


class Reports(Protocol):
    """What the service says of itself."""

    content_type: str
    """Of the exposition."""

    async def exposition(self) -> bytes:
        """For Prometheus."""
        ...

    async def summary(self) -> Summary: ...
    async def status(self) -> Status: ...
