"""The service's figures: `/metrics` for Prometheus, `/api/metrics` and `/api/status` for people and scripts."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Literal

from aiohttp import web
from pydantic import BaseModel

from service.health import Condition, overall
from service.metrics import MachineFigures, Reports, RequestFigures, Status
from webapi.contract import SUPERUSERS, Api, Content
from webapi.health import CheckHealth

FIGURES = replace(SUPERUSERS, metrics=True)
"""Superusers and this machine's own user; of a superuser's API keys those of scope `metrics` too."""


class SystemMetrics(BaseModel):
    """The machine. Memory that programs could have counts as free; the disk is the one with the data directory."""

    cpus: int
    cpu_percent: float
    memory_total_bytes: int
    memory_used_bytes: int
    memory_percent: float
    disk_total_bytes: int
    disk_used_bytes: int
    disk_percent: float


class RequestMetrics(BaseModel):
    """Since the start; `failed` with a status of 500 or more."""

    total: int
    failed: int
    average_seconds: float | None


class Metrics(BaseModel):
    """Sessions, jobs and storage of the installation; the rest is of this machine and process."""

    active_sessions: int
    total_sessions: int
    active_jobs: int
    total_jobs: int
    storage_used_bytes: int
    stored_files: int
    system: SystemMetrics
    requests: RequestMetrics
    uptime_seconds: float


class QueueStatus(BaseModel):
    """Jobs that wait for a place (`queued`), or for their account or another job (`held`), and those that run."""

    queued: int
    held: int
    running: int
    oldest_seconds: float


class WorkersStatus(BaseModel):
    """So many downloads may run at once, and so many processes are there for them."""

    width: int
    processes: int


class ServiceStatus(BaseModel):
    """The service in detail. `queue` is null while the database does not answer, `telegram` without a bot."""

    status: Condition
    state: Literal["starting", "ready", "importing", "stopping"]
    checks: list[CheckHealth]
    uptime_seconds: float
    versions: dict[str, str | None]
    extractors: dict[str, str | None]
    queue: QueueStatus | None
    workers: WorkersStatus
    telegram: str | None
    engine: str
    database: str


class MetricsEndpoints:
    """Who may see them sees causes too."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def register(self, api: Api) -> None:
        tags = ["Health"]
        api.route("GET", "/metrics", access=FIGURES, tags=tags, answers={200: Content("text/plain")})(self.exposition)
        api.route("GET", "/api/metrics", access=FIGURES, tags=tags)(self.metrics)
        api.route("GET", "/api/status", access=FIGURES, tags=tags)(self.status)

    async def exposition(self) -> web.StreamResponse:
        """The figures, for Prometheus."""
        return web.Response(body=await self._reports.exposition(), headers={"Content-Type": self._reports.content_type})

    async def metrics(self) -> Metrics:
        """The figures, for people."""
        summary = await self._reports.summary()
        totals = summary.totals
        return Metrics(
            active_sessions=totals.active_sessions,
            total_sessions=totals.total_sessions,
            active_jobs=totals.active_jobs,
            total_jobs=totals.total_jobs,
            storage_used_bytes=totals.stored_bytes,
            stored_files=totals.stored_files,
            system=_system(summary.machine),
            requests=_requests(summary.requests),
            uptime_seconds=_seconds(summary.uptime),
        )

    async def status(self) -> ServiceStatus:
        """How the service is, in detail, with the cause of each trouble."""
        return _status(await self._reports.status())


def _system(machine: MachineFigures) -> SystemMetrics:
    return SystemMetrics(
        **asdict(machine),
        memory_percent=_percent(machine.memory_used_bytes, machine.memory_total_bytes),
        disk_percent=_percent(machine.disk_used_bytes, machine.disk_total_bytes),
    )


def _requests(requests: RequestFigures) -> RequestMetrics:
    average = requests.average_seconds
    return RequestMetrics(total=requests.total, failed=requests.failed, average_seconds=None if average is None else round(average, 6))


def _status(status: Status) -> ServiceStatus:
    queue, lag = status.queue, status.lag or timedelta(0)
    return ServiceStatus(
        status=overall(dict(status.findings)),
        state=status.state.value,
        checks=[CheckHealth(name=name, status=found.condition, cause=found.cause) for name, found in status.findings.items()],
        uptime_seconds=_seconds(status.uptime),
        versions=dict(status.versions),
        extractors=dict(status.extractors),
        queue=None
        if queue is None
        else QueueStatus(queued=queue.queued, held=queue.held, running=queue.running, oldest_seconds=_seconds(lag)),
        workers=WorkersStatus(width=status.width, processes=status.processes),
        telegram=status.telegram,
        engine=status.engine,
        database=status.database,
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _seconds(time: timedelta) -> float:
    return round(time.total_seconds(), 3)
