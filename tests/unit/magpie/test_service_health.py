"""The real service, put together but not started, whose database nobody may touch."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import event

from magpie.app import Service
from magpie.config import Config
from service.health import Stage

CHECKS = ["database", "disk", "workers", "telegram", "queue", "ffmpeg", "yt-dlp", "javascript"]
CALLERS = [
    {},
    {"Authorization": "Bearer x"},
    {"X-API-Key": "mgp_wrong"},
    {"Cookie": "magpie=x"},
    {"X-Session-ID": "x"},
    {"Via": "1.1 proxy"},
]


class Untouchable:
    """Notes who touches the database all the same."""

    def __init__(self, service: Service) -> None:
        self.touched: list[str] = []
        for engine in (service._database.reader, service._database.writer):
            event.listen(engine.sync_engine, "do_connect", self._refuse)
            event.listen(engine.sync_engine, "before_cursor_execute", self._refuse)

    def _refuse(self, *_: Any) -> None:
        self.touched.append("touched")
        raise OSError("the database has gone away")


@pytest.fixture
async def service(tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Service]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    service = Service(Config(_env_file=None, data_dir=tmp_path / "data", port=unused_tcp_port))
    await service.server.start()
    service.state.move_to(Stage.READY)
    try:
        yield service
    finally:
        await service.server.close()
        await service._database.close()
        await service.people.close()
        root.handlers = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)


async def asked(service: Service, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{service.server.port}{path}", headers=headers) as got:
        return got.status, await got.json() if got.content_type.endswith("json") else await got.text()


@pytest.mark.parametrize("headers", CALLERS, ids=lambda headers: next(iter(headers), "nothing"))
@pytest.mark.parametrize("path", ["/api/health/simple", "/api/health/simple/"])
async def test_the_simple_check_never_touches_the_database(service: Service, path: str, headers: dict[str, str]) -> None:
    database = Untouchable(service)
    assert await asked(service, path, headers) == (200, {"status": "ok"})
    assert database.touched == []


async def test_health_is_unhealthy_without_its_database_and_says_so(service: Service) -> None:
    database = Untouchable(service)
    status, body = await asked(service, "/api/health")
    found = {check["name"]: check for check in body["checks"]}
    assert (status, body["status"]) == (503, "unhealthy")
    assert (found["database"]["status"], found["queue"]["status"]) == ("unhealthy", "unhealthy")
    assert found["ffmpeg"]["status"] == "healthy"
    assert database.touched


async def test_health_looks_at_every_part(service: Service) -> None:
    _, body = await asked(service, "/api/health")
    assert [check["name"] for check in body["checks"]] == CHECKS


async def test_a_scrape_and_the_status_are_given_without_the_database(service: Service) -> None:
    Untouchable(service)
    assert 'magpie_health{check="database"} 2.0' in (await asked(service, "/metrics"))[1]
    assert (await asked(service, "/api/status"))[1]["queue"] is None
