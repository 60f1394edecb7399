"""Readers of live news over real sockets: who leaves is let go, and who does not read holds up nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from service.health import ServiceState, Stage
from service.job_pages import SeenJobs
from service.model import Job
from service.opened_sessions import OpenedSessions
from service.signed_links import SignedLinks
from service.watching import Watching
from storage.job_pages import SqlJobPages
from storage.migrate import upgrade
from storage.opened_sessions import SqlOpenedSessions
from storage.vault import MultiFernetVault
from tests.support.house import House, RealIds, living
from tests.unit.webapi.toy import Site, served
from webapi.contract import Api
from webapi.job_events import JobEventsEndpoints

HANG = 30
LARGE = "x" * 2_000_000
"""More than what a socket's buffers take."""
SWITCH = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
WAYS = [("events", ""), ("ws", SWITCH)]


@dataclass
class Stand:
    """A house whose jobs can be looked on at, and one job that is under way."""

    house: House
    watching: Watching
    site: Site
    job: Job

    def news(self, title: str = "News") -> None:
        self.job = replace(self.job, seq=self.job.seq + 1, title=title)
        self.house.events.publish(self.job)

    async def until_readers(self, number: int) -> None:
        async with asyncio.timeout(HANG):
            while self.watching.readers != number:
                await asyncio.sleep(0.01)

    async def reader(self, way: tuple[str, str]) -> socket.socket:
        """One that has sent its request, and takes little at once."""
        name, headers = way
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.setblocking(False)  # noqa: FBT003 - the library's signature
        loop = asyncio.get_running_loop()
        await loop.sock_connect(reader, ("127.0.0.1", self.site.server.port))
        await loop.sock_sendall(reader, f"GET /api/jobs/{self.job.id}/{name} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        return reader


@pytest.fixture
async def stand(database_url: str, tmp_path: Path) -> AsyncIterator[Stand]:
    await upgrade(database_url)
    house = House(url=database_url, root=tmp_path)
    async with living(house):
        house.web.gate, house.web.pages["https://example.com/1"] = asyncio.Event(), b"body"
        job = await house.reached(await house.submit("1"), lambda job: bool(job.progress.downloaded))
        api, watching, state = Api(title="Readers", version="1", description="-"), Watching(house.events), ServiceState(Stage.READY)
        sessions = OpenedSessions(
            rows=SqlOpenedSessions(house.database), database=house.database, downloads=house.downloads, media=house.media,
            clock=house.clock, ids=RealIds(),
        )  # fmt: skip
        links = SignedLinks(MultiFernetVault(["a secret key of the tests"]), house.clock)
        JobEventsEndpoints(
            jobs=SeenJobs(
                rows=SqlJobPages(house.database, None), database=house.database, downloads=house.downloads, media=house.media
            ),
            sessions=sessions, watching=watching, links=links, state=state,
            clock=house.clock, heartbeat=timedelta(seconds=0.2), patience=timedelta(seconds=0.5),
        ).register(api)  # fmt: skip
        async with served(api, state=state) as site:
            yield Stand(house, watching, site, job)
            watching.close()


@pytest.mark.parametrize("way", WAYS, ids=["events", "socket"])
async def test_who_does_not_read_is_cut_off_and_holds_up_nobody(stand: Stand, way: tuple[str, str]) -> None:
    with await stand.reader(way):
        async with aiohttp.ClientSession() as http, http.get(f"{stand.site.url}/api/jobs/{stand.job.id}/events") as response:
            await stand.until_readers(2)
            for number in range(5):
                stand.news(LARGE + str(number))
                await _line_with(response, f'{number}"')
            await stand.until_readers(1)
            stand.news("The other one still hears.")
            await _line_with(response, "still hears")


async def _line_with(response: aiohttp.ClientResponse, text: str) -> None:
    async with asyncio.timeout(HANG):
        rest = b""
        while text.encode() not in rest:
            rest = rest[-100:] + await response.content.readany()


@pytest.mark.parametrize("way", WAYS, ids=["events", "socket"])
async def test_who_left_is_let_go_although_nothing_happens(stand: Stand, way: tuple[str, str]) -> None:
    reader = await stand.reader(way)
    await stand.until_readers(1)
    with suppress(OSError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(reader, 100), HANG)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # gone without a word of farewell
    reader.close()
    await stand.until_readers(0)


async def test_the_end_of_a_job_is_told_also_when_its_progress_did_not_reach_the_row(stand: Stand) -> None:
    """As when it is cancelled, or the service dies, between what was published and what was written."""
    async with aiohttp.ClientSession() as http, http.get(f"{stand.site.url}/api/jobs/{stand.job.id}/events") as response:
        await stand.until_readers(1)
        for number in range(20):
            stand.news(f"Told {number}")
        await _line_with(response, "Told 19")
        seen = stand.job.seq
        await stand.house.downloads.cancel(stand.job.id)
        await _line_with(response, '"cancelled"')
    again = {"Last-Event-ID": str(seen)}
    async with aiohttp.ClientSession() as http, http.get(f"{stand.site.url}/api/jobs/{stand.job.id}/events", headers=again) as response:
        await _line_with(response, '"cancelled"')


async def test_a_number_of_another_stream_hides_nothing(stand: Stand) -> None:
    strange = {"Last-Event-ID": "1795290270000"}
    url = f"{stand.site.url}/api/jobs/{stand.job.id}/events"
    async with aiohttp.ClientSession() as http, http.get(url, headers=strange) as response:
        await _line_with(response, '"processing"')


async def test_an_end_is_told_to_who_comes_again_however_many_newer_jobs_there_are(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapi.job_events.LATEST", 2)
    since = round(stand.house.clock.now().timestamp() * 1000)
    for number in range(2, 7):
        await stand.house.downloads.cancel((await stand.house.submit(str(number))).id)
    stand.house.clock.move(timedelta(seconds=5))
    await stand.house.downloads.cancel(stand.job.id)
    again = {"Last-Event-ID": str(since)}
    async with aiohttp.ClientSession() as http, http.get(f"{stand.site.url}/api/events", headers=again) as response:
        await _line_with(response, f'{stand.job.id}","parent_uuid":null,"seq"')
