"""The figures over HTTP: who gets them, what they look like, and that every request is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from service.credentials import Scope
from service.health import Condition, Finding, ServiceState, Stage
from service.metrics import MachineFigures, QueueFigures, RequestFigures, Status, Summary, Totals
from tests.unit.webapi.test_access_matrix import As
from tests.unit.webapi.test_scopes import WithKey
from tests.unit.webapi.toy import Site, served, toy_api, trusting
from webapi.auth import Caller, CallerKind, Identifies
from webapi.contract import EVERYBODY, Api
from webapi.metrics import MetricsEndpoints
from webapi.server import HttpServer, build_app

PATHS = ["/metrics", "/api/metrics", "/api/status"]
ANSWERS = Summary(
    totals=Totals(active_sessions=1, total_sessions=2, active_jobs=3, total_jobs=4, stored_files=5, stored_bytes=6),
    machine=MachineFigures(
        cpus=2, cpu_percent=12.5, memory_total_bytes=1000, memory_used_bytes=250, disk_total_bytes=3000, disk_used_bytes=1000
    ),
    requests=RequestFigures(total=10, failed=1, average_seconds=0.0123456789),
    uptime=timedelta(minutes=1),
)


class Told:
    """Reports that a test writes itself."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"
    queue: QueueFigures | None = QueueFigures(queued=1, held=2, running=3)

    async def exposition(self) -> bytes:
        return b"magpie_x 1\n"

    async def summary(self) -> Summary:
        return ANSWERS

    async def status(self) -> Status:
        return Status(
            state=Stage.READY,
            findings={"disk": Finding(condition=Condition.DEGRADED, cause="/srv is full"), "queue": Finding()},
            uptime=timedelta(minutes=1),
            versions={"magpie": "1"},
            extractors={"yt-dlp": "2026.10.26", "gallery-dl": None},
            queue=self.queue,
            lag=timedelta(seconds=90) if self.queue else None,
            width=4,
            processes=5,
            telegram="refused",
            engine="an engine",
            database="sqlite",
        )


def an_api(told: Told) -> Api:
    api = Api(title="Magpie", version="0")
    MetricsEndpoints(told).register(api)
    return api


async def ask(path: str, who: Identifies | None = None, told: Told | None = None, **more: Any) -> tuple[int, Any]:
    async with served(an_api(told or Told()), authenticator=who, **more) as site, site.http.get(path) as got:
        return got.status, await got.json() if got.content_type.endswith("json") else await got.text()


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("kind", "status"),
    [(CallerKind.ANONYMOUS, 401), (CallerKind.USER, 403), (CallerKind.SUPERUSER, 200), (CallerKind.LOCAL, 200)],
)
async def test_figures_are_for_superusers_and_this_machines_own_user(path: str, kind: CallerKind, status: int) -> None:
    assert (await ask(path, As(kind)))[0] == status


@pytest.mark.parametrize("path", PATHS)
async def test_a_superusers_key_for_figures_opens_them(path: str) -> None:
    assert (await ask(path, WithKey(Scope.METRICS)))[0] == 200


class UsersKey:
    """Says that everybody shows a plain user's key for figures."""

    async def identify(self, request: web.Request, *, is_public: bool = False) -> Caller:
        del request, is_public
        return Caller(kind=CallerKind.USER, account_id=2, address="192.0.2.1", scope=Scope.METRICS, key_id=1)

    def address_of(self, request: web.Request) -> str:
        del request
        return "192.0.2.1"


@pytest.mark.parametrize("path", PATHS)
async def test_a_key_that_a_plain_user_made_opens_no_more_than_its_user_may(path: str) -> None:
    """Else anybody with an account could make one."""
    assert (await ask(path, UsersKey()))[0] == 403


@pytest.mark.parametrize("path", PATHS)
async def test_while_starting_there_are_no_figures(path: str) -> None:
    assert (await ask(path, state=ServiceState(Stage.STARTING)))[0] == 503


# --- what they look like ----------------------------------------------------------------------------------------------


async def test_prometheus_gets_its_own_format() -> None:
    async with served(an_api(Told())) as site, site.http.get("/metrics") as got:
        assert got.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert await got.text() == "magpie_x 1\n"


async def test_people_get_sessions_jobs_storage_the_machine_and_requests() -> None:
    assert await ask("/api/metrics") == (
        200,
        {
            "active_sessions": 1,
            "total_sessions": 2,
            "active_jobs": 3,
            "total_jobs": 4,
            "storage_used_bytes": 6,
            "stored_files": 5,
            "system": {
                "cpus": 2,
                "cpu_percent": 12.5,
                "memory_total_bytes": 1000,
                "memory_used_bytes": 250,
                "memory_percent": 25.0,
                "disk_total_bytes": 3000,
                "disk_used_bytes": 1000,
                "disk_percent": 33.3,
            },
            "requests": {"total": 10, "failed": 1, "average_seconds": 0.012346},
            "uptime_seconds": 60.0,
        },
    )


async def test_status_has_causes_and_is_as_bad_as_the_worst_part() -> None:
    _, body = await ask("/api/status")
    assert body["status"] == "degraded"
    assert body["checks"][0] == {"name": "disk", "status": "degraded", "cause": "/srv is full"}


async def test_status_tells_of_queue_workers_telegram_engine_and_extractors() -> None:
    _, body = await ask("/api/status")
    assert body["queue"] == {"queued": 1, "held": 2, "running": 3, "oldest_seconds": 90.0}
    assert body["workers"] == {"width": 4, "processes": 5}
    assert (body["telegram"], body["engine"], body["database"]) == ("refused", "an engine", "sqlite")
    assert body["extractors"] == {"yt-dlp": "2026.10.26", "gallery-dl": None}


async def test_status_without_a_database_has_no_queue() -> None:
    told = Told()
    told.queue = None
    assert (await ask("/api/status", told=told))[1]["queue"] is None


# --- every request is counted -----------------------------------------------------------------------------------------

Answer = tuple[str, str, int, bool]


class Notes:
    """Method, route, status, and whether it was timed."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.changed = asyncio.Event()

    def answered(self, *, method: str, route: str, status: int, seconds: float | None) -> None:
        self.answers.append((method, route, status, seconds is not None))
        self.changed.set()


@asynccontextmanager
async def counted(api: Api | None = None) -> AsyncIterator[tuple[Site, Notes]]:
    notes, state = Notes(), ServiceState(Stage.READY)
    server = HttpServer(build_app(api or toy_api(), authenticator=trusting(), state=state, meter=notes), port=0)
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            yield Site(server, http, state), notes
    finally:
        await server.close()


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/birds/7", ("GET", "/birds/{bird_id}", 200, True)),
        ("GET", "/birds/8/", ("GET", "/birds/{bird_id}", 200, True)),
        ("HEAD", "/birds/7", ("HEAD", "/birds/{bird_id}", 200, True)),
        ("GET", "/birds/1001", ("GET", "/birds/{bird_id}", 404, True)),
        ("GET", "/birds/x", ("GET", "/birds/{bird_id}", 422, True)),
        ("GET", "/fail/crash", ("GET", "/fail/{how}", 500, True)),
        ("GET", "/fail/moved", ("GET", "/fail/{how}", 303, True)),
        ("GET", "/nowhere/at/all", ("GET", "-", 404, True)),
        ("PATCH", "/birds/7", ("PATCH", "-", 405, True)),
        ("PROPFIND", "/birds/7", ("other", "-", 405, True)),
    ],
)
async def test_a_request_is_counted_by_its_declared_route_and_nothing_that_its_sender_made_up(
    method: str, path: str, answer: Answer
) -> None:
    async with counted() as (site, notes):
        async with site.http.request(method, path, allow_redirects=False) as got:
            await got.read()
        assert notes.answers == [answer]


async def test_an_answer_that_breaks_off_is_counted_and_not_timed() -> None:
    async with counted() as (site, notes):
        with pytest.raises(aiohttp.ClientError):
            async with site.http.get("/stream?break=1") as got:
                await got.read()
        assert notes.answers == [("GET", "/stream", 499, False)]


async def test_a_stream_of_events_is_counted_when_it_ends_and_not_timed() -> None:
    api = Api(title="Streams", version="1")

    @api.route("GET", "/events", access=EVERYBODY)
    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": hello\n\n")
        return response

    async with counted(api) as (site, notes):
        async with site.http.get("/events") as got:
            await got.read()
        async with asyncio.timeout(20):
            await notes.changed.wait()
        assert notes.answers == [("GET", "/events", 200, False)]
