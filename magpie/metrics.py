"""What the service says of itself: the figures for Prometheus, in a registry of their own, and those for people."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from bot.application import ChatState
from magpie.equipment import Machine, Programs, released, version_of
from service.health import Check, Condition, Finding, ServiceState, look_at
from service.metrics import FigureRows, QueueFigures, RequestFigures, Status, Summary
from service.model import Job, JobStatus
from service.ports import Clock

log = logging.getLogger("magpie.metrics")
PATIENCE = timedelta(seconds=5)
JOB_SECONDS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 1800)
WAIT_SECONDS = (0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
SERVER_ERROR = 500


class Meters:
    """Counts what happens, as it happens. Nothing of it outlives the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests, self.failed_requests = 0, 0
        self._seconds, self._timed = 0.0, 0
        self._jobs = Counter(
            "magpie_jobs_ended", "Jobs that ended; the cause is why they failed.", ("kind", "status", "cause"), registry=self.registry
        )
        self._job_bytes = Counter("magpie_jobs_stored_bytes", "Bytes of the files of completed jobs.", ("kind",), registry=self.registry)
        self._job_seconds = Histogram(
            "magpie_job_duration_seconds",
            "How long jobs ran.",
            ("kind", "status"),
            buckets=JOB_SECONDS,
            registry=self.registry,
        )
        self._calls = Counter("magpie_telegram_calls", "Calls to Telegram.", ("group", "outcome"), registry=self.registry)
        self._waits = Histogram(
            "magpie_telegram_wait_seconds",
            "How long calls to Telegram were held back.",
            ("group",),
            buckets=WAIT_SECONDS,
            registry=self.registry,
        )
        self._answers = Counter("magpie_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry)
        self._answer_seconds = Histogram(
            "magpie_http_request_duration_seconds",
            "How long answers took, streams aside.",
            ("method", "route"),
            buckets=HTTP_SECONDS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def heard(self, job: Job) -> None:
        """News of a job. A list is not counted, its items are."""
        if job.status.is_live or job.is_list:
            return
        kind = job.selection.media_type.value
        self._jobs.labels(kind, job.status.value, job.error_code or "").inc()
        if job.status is JobStatus.COMPLETED:
            self._job_bytes.labels(kind).inc(job.progress.total or 0)
        if job.starts and job.started_at is not None and job.ended_at is not None:
            self._job_seconds.labels(kind, job.status.value).observe((job.ended_at - job.started_at).total_seconds())

    def waited(self, group: str, seconds: float) -> None:
        self._waits.labels(group).observe(seconds)

    def called(self, group: str, outcome: str) -> None:
        self._calls.labels(group, outcome).inc()

    def answered(self, *, method: str, route: str, status: int, seconds: float | None) -> None:
        self.requests += 1
        self.failed_requests += status >= SERVER_ERROR
        self._answers.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._seconds += seconds
            self._timed += 1
            self._answer_seconds.labels(method, route).observe(seconds)

    @property
    def request_figures(self) -> RequestFigures:
        average = self._seconds / self._timed if self._timed else None
        return RequestFigures(total=self.requests, failed=self.failed_requests, average_seconds=average)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the reports look at. `width` and `processes` are the download workers', as they are at the moment."""

    state: ServiceState
    checks: Sequence[Check]
    rows: FigureRows
    programs: Programs
    machine: Machine
    clock: Clock
    chat: Callable[[], ChatState | None]
    free_bytes: Callable[[], int]
    readers: Callable[[], int]
    width: Callable[[], int]
    processes: Callable[[], int]
    version: str
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a scrape found. `queue` is None when the database did not answer."""

    findings: Mapping[str, Finding]
    versions: Mapping[str, str | None]
    now: datetime
    queue: QueueFigures | None
    chat: ChatState | None
    free_bytes: int
    readers: int


class ServiceReports:
    """The reports of one process. Figures of the database are the whole installation's."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, meters: Meters, parts: Parts) -> None:
        self._meters, self._parts = meters, parts
        self._started = parts.clock.monotonic()

    async def exposition(self) -> bytes:
        look = await self._look()
        gauges = CollectorRegistry()
        gauges.register(_Gauges(look, self._parts))
        # In a thread: with many routes it is a long text, and the loop has better things to do.
        return await asyncio.to_thread(lambda: generate_latest(self._meters.registry) + generate_latest(gauges))

    async def summary(self) -> Summary:
        totals = await self._parts.rows.totals(self._parts.clock.now())
        return Summary(totals=totals, machine=self._parts.machine.figures(), requests=self._meters.request_figures, uptime=self._uptime)

    async def status(self) -> Status:
        look, parts = await self._look(), self._parts
        return Status(
            state=parts.state.state,
            findings=look.findings,
            uptime=self._uptime,
            versions={
                "magpie": parts.version,
                "python": platform.python_version(),
                **{n: look.versions.get(n) for n in ("ffmpeg", "deno")},
            },
            extractors={**{n: look.versions.get(n) for n in ("yt-dlp", "yt-dlp-ejs")}, "gallery-dl": version_of("gallery-dl")},
            queue=look.queue,
            lag=None if look.queue is None else look.queue.lag(look.now),
            width=parts.width(),
            processes=parts.processes(),
            telegram=None if look.chat is None else look.chat.value,
            engine=f"DBOS {version_of('dbos')}",
            database=parts.database,
        )

    @property
    def _uptime(self) -> timedelta:
        return timedelta(seconds=self._parts.clock.monotonic() - self._started)

    async def _look(self) -> _Look:
        parts = self._parts
        async with asyncio.TaskGroup() as group:
            findings = group.create_task(look_at(parts.checks))
            queue = group.create_task(self._queue())
            versions = group.create_task(self._versions())
        return _Look(
            findings=findings.result(),
            versions=versions.result(),
            now=parts.clock.now(),
            queue=queue.result(),
            chat=parts.chat(),
            free_bytes=parts.free_bytes(),
            readers=parts.readers(),
        )

    async def _queue(self) -> QueueFigures | None:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                return await self._parts.rows.queue()
        except Exception:
            # The outermost loop of a figure: a database that is gone must not hide all others, now of all times.
            log.exception("the queue could not be counted")
            return None

    async def _versions(self) -> Mapping[str, str | None]:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                return {name: tool.version for name, tool in (await self._parts.programs.all()).items()}
        except TimeoutError:
            return {}


class _Gauges(Collector):
    """What is so at the moment of a scrape."""

    def __init__(self, look: _Look, parts: Parts) -> None:
        self._look, self._parts = look, parts

    def collect(self) -> Iterator[Metric]:
        look = self._look
        yield from self._queue()
        yield _gauge("magpie_event_readers", "Who follows jobs live.", [((), look.readers)])
        yield _gauge("magpie_disk_free_bytes", "Where media is stored.", [((), look.free_bytes)])
        order = list(Condition)
        conditions = [((name,), order.index(finding.condition)) for name, finding in look.findings.items()]
        yield _gauge("magpie_health", "0 healthy, 1 degraded, 2 unhealthy.", conditions, "check")
        states = [] if look.chat is None else [((state.value,), int(state is look.chat)) for state in ChatState]
        yield _gauge("magpie_telegram_state", "1 for the state that the bot is in; nothing without a bot.", states, "state")
        day = released(look.versions.get("yt-dlp"))
        when = [] if day is None else [((), datetime.combine(day, time(), UTC).timestamp())]
        yield _gauge("magpie_ytdlp_release_timestamp_seconds", "When the installed yt-dlp was released.", when)
        about = (self._parts.version, look.versions.get("yt-dlp") or "", platform.python_version(), self._parts.database)
        yield _gauge("magpie_build_info", "Always 1; versions are its labels.", [(about, 1)], "version", "ytdlp", "python", "database")

    def _queue(self) -> Iterator[Metric]:
        queue = self._look.queue
        figures = {} if queue is None else {"queued": queue.queued, "held": queue.held, "running": queue.running}
        told = {
            "queued": "Jobs that wait for a place of the engine.",
            "held": "Jobs that wait for their account's limits, or for another job.",
            "running": "Jobs that run.",
        }
        for name, help_text in told.items():
            yield _gauge(f"magpie_jobs_{name}", help_text, [((), figures[name])] if name in figures else [])
        lag = [] if queue is None else [((), queue.lag(self._look.now).total_seconds())]
        yield _gauge("magpie_queue_oldest_seconds", "How long the job that has been queued longest waits.", lag)


def _gauge(name: str, told: str, samples: Sequence[tuple[tuple[str, ...], float]], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family
