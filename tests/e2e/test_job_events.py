"""Live news of jobs over real sockets: server-sent events and WebSocket, with a service that is killed and started again."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import requests

from tests.e2e.conftest import StartService
from tests.support.running import HANG, MediaSiteProcess, Running, eventually

SLOW = "throttled/200/media/clip.mp4"  # about five seconds
AFAR = {"X-Forwarded-For": "203.0.113.9"}


@dataclass(frozen=True)
class Event:
    """As it came."""

    id: str
    name: str
    data: dict[str, Any]


def asked(service: Running, url: str, **more: Any) -> dict[str, Any]:
    answer = requests.post(f"{service.url}/api/jobs/", json={"url": url, **more}, timeout=HANG)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


def here(service: Running, job: dict[str, Any], path: str = "/events") -> str:
    return f"{service.url}/api/jobs/{job['job_uuid']}{path}"


@asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=HANG)) as session:
        yield session


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Until the stream ends."""
    fields: dict[str, str] = {}
    async for line in response.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield Event(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


async def test_a_job_is_followed_to_its_end(service: Running, site: MediaSiteProcess) -> None:
    job = asked(service, site.url(f"{SLOW}?follow"))
    async with client() as http, http.get(here(service, job)) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        events = [event async for event in events_of(response)]
    assert [event.name for event in events] == ["progress"] * (len(events) - 1) + ["end"]
    assert events[-1].data["status"] == "completed"
    numbers = [event.data["seq"] for event in events]
    assert numbers == sorted(set(numbers))
    assert [event.id for event in events] == [str(number) for number in numbers]


async def test_a_list_is_followed_with_its_items_and_counts_them(service: Running) -> None:
    job = asked(service, "https://www.youtube.com/playlist?list=PL3")
    async with client() as http, http.get(here(service, job)) as response:
        events = [event async for event in events_of(response)]
    assert {event.name for event in events} == {"progress", "item", "end"}
    end = events[-1].data
    assert (end["status"], end["items_done"], end["items_total"], end["total_bytes"]) == ("completed", 3, 3, None)
    assert len({event.data["job_uuid"] for event in events if event.name == "item"}) == 3


async def test_who_knows_the_end_already_is_told_nothing(service: Running, site: MediaSiteProcess) -> None:
    job = service.ended(asked(service, site.url("n/known.mp4"))["job_uuid"])
    async with client() as http:
        async with http.get(here(service, job), headers={"Last-Event-ID": str(job["seq"])}) as response:
            assert response.status == 204
        async with http.get(here(service, job), headers={"Last-Event-ID": str(job["seq"] - 1)}) as response:
            assert [event.name async for event in events_of(response)] == ["end"]


async def test_readers_of_a_killed_service_miss_neither_a_status_nor_the_end(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    job = asked(service, site.url(f"{SLOW}?killed"))
    seen: list[Event] = []

    async def read() -> None:
        last = ""
        async with client() as http:
            while not seen or seen[-1].name != "end":
                try:
                    async with http.get(here(service, job), headers={"Last-Event-ID": last} if last else {}) as response:
                        async for event in events_of(response):
                            seen.append(event)
                            last = event.id
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)

    reading = asyncio.create_task(read())
    async with asyncio.timeout(HANG):
        while not [event for event in seen if event.data["phase"] == "downloading"]:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(service.kill)
        await asyncio.to_thread(service.start)
        await reading
    assert seen[-1].data["status"] == "completed"
    assert [event.data["seq"] for event in seen] == sorted({event.data["seq"] for event in seen})


async def test_a_stop_ends_every_stream(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    job = asked(service, site.url("throttled/20/media/clip.mp4?stop"))
    async with client() as http, http.get(here(service, job)) as stream, http.ws_connect(here(service, job, "/ws")) as ws:
        assert (await anext(events_of(stream))).data["job_uuid"] == job["job_uuid"]
        ends = asyncio.gather(_drain(stream), _listen(ws))
        assert await asyncio.to_thread(service.stop, signal.SIGTERM) == 0
        await ends
        assert ws.close_code == aiohttp.WSCloseCode.GOING_AWAY


async def _listen(ws: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in ws:
        pass


async def _drain(response: aiohttp.ClientResponse) -> None:
    async for _ in response.content:
        pass


async def test_the_same_comes_by_websocket(service: Running, site: MediaSiteProcess) -> None:
    job = asked(service, site.url(f"{SLOW}?socket"))
    async with client() as http, http.ws_connect(here(service, job, "/ws")) as ws:
        told = [json.loads(message.data) async for message in ws]
    assert told[-1]["status"] == "completed"
    assert [one["seq"] for one in told] == sorted({one["seq"] for one in told})
    assert ws.close_code == aiohttp.WSCloseCode.OK


@pytest.mark.parametrize("garbage", ["hello", "{", b"\x00\xff", "x" * 5000])
async def test_whoever_says_something_is_shown_out(service: Running, site: MediaSiteProcess, garbage: str | bytes) -> None:
    job = asked(service, site.url(f"throttled/100/media/clip.mp4?garbage{len(garbage)}{type(garbage).__name__}"))
    async with client() as http, http.ws_connect(here(service, job, "/ws")) as ws:
        await (ws.send_bytes(garbage) if isinstance(garbage, bytes) else ws.send_str(garbage))
        await _listen(ws)
        assert ws.close_code in {aiohttp.WSCloseCode.UNSUPPORTED_DATA, aiohttp.WSCloseCode.MESSAGE_TOO_BIG}
        await http.post(here(service, job, "/cancel"))


def test_a_plain_request_for_the_socket_is_refused(service: Running, site: MediaSiteProcess) -> None:
    job = asked(service, site.url("n/plain.mp4"))
    assert requests.get(here(service, job, "/ws"), timeout=HANG).status_code == 400


async def test_the_signed_address_opens_one_jobs_events_and_nothing_else(service: Running, site: MediaSiteProcess) -> None:
    job, other = (service.ended(asked(service, site.url(f"n/signed{n}.mp4"))["job_uuid"]) for n in range(2))
    query = job["events_url"].partition("?")[2]
    async with client() as http:
        async with http.get(job["events_url"], headers=AFAR) as response:
            assert [event.name async for event in events_of(response)] == ["end"]
        async with http.get(f"{here(service, other)}?{query}", headers=AFAR) as response:
            assert response.status == 403
        async with http.get(f"{here(service, job, '')}?{query}", headers=AFAR) as response:
            assert response.status == 403
        async with http.get(here(service, job), headers=AFAR) as response:
            assert response.status == 401
        async with http.ws_connect(f"{here(service, job, '/ws')}?{query}", headers=AFAR) as ws:
            assert json.loads((await ws.receive()).data)["status"] == "completed"


async def test_all_of_ones_jobs_are_followed_at_once(service: Running, site: MediaSiteProcess) -> None:
    async with client() as http, http.get(f"{service.url}/api/events") as response:
        jobs = {asked(service, site.url(f"n/all{n}.mp4"))["job_uuid"] for n in range(3)}
        ended = set()
        async for event in events_of(response):
            if event.name == "end" and event.data["job_uuid"] in jobs:
                ended.add(event.data["job_uuid"])
                last = event.id
            if ended == jobs:
                break
    assert ended == jobs
    async with client() as http, http.get(f"{service.url}/api/events", headers={"Last-Event-ID": str(int(last) - 1000)}) as response:
        again = set()
        async for event in events_of(response):
            again.add(event.data["job_uuid"])
            if jobs <= again:
                break
    assert jobs <= again


async def test_all_of_ones_jobs_are_followed_by_socket_as_well(service: Running, site: MediaSiteProcess) -> None:
    url = f"{service.url}/api/events/ws"
    async with client() as http, http.ws_connect(url) as ws:
        jobs = {asked(service, site.url(f"n/socket{n}.mp4"))["job_uuid"] for n in range(3)}
        ended = await _ends_of(ws, jobs)
    assert ended == jobs
    since = round((time.time() - 1) * 1000)
    async with client() as http, http.ws_connect(f"{url}?last_event_id={since}") as ws:
        assert await _ends_of(ws, jobs) == jobs


async def _ends_of(ws: aiohttp.ClientWebSocketResponse, jobs: set[str]) -> set[str]:
    """Of these, those whose end was told; until all were, or the socket closed."""
    ended: set[str] = set()
    async for message in ws:
        job = json.loads(message.data)
        if job["job_uuid"] in jobs and job["status"] == "completed":
            ended.add(job["job_uuid"])
        if ended == jobs:
            break
    return ended


async def test_who_says_something_to_the_socket_of_all_jobs_is_shown_out(service: Running) -> None:
    async with client() as http, http.ws_connect(f"{service.url}/api/events/ws") as ws:
        await ws.send_str("hello")
        while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert ws.close_code == aiohttp.WSCloseCode.UNSUPPORTED_DATA


def test_the_socket_of_all_jobs_is_for_websocket_and_for_who_is_known(service: Running) -> None:
    url = f"{service.url}/api/events/ws"
    assert [requests.get(url, timeout=HANG).status_code, requests.get(url, headers=AFAR, timeout=HANG).status_code] == [400, 401]


def test_a_reader_that_does_not_read_is_not_waited_for(service: Running, site: MediaSiteProcess) -> None:
    job = asked(service, site.url(f"{SLOW}?lazy"))
    with socket.create_connection(("127.0.0.1", service.port)) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        lazy.sendall(f"GET /api/jobs/{job['job_uuid']}/events HTTP/1.1\r\nHost: localhost:{service.port}\r\n\r\n".encode())
        assert service.ended(job["job_uuid"])["status"] == "completed"


def test_a_look_at_the_head_opens_no_stream(service: Running, site: MediaSiteProcess) -> None:
    job = asked(service, site.url("n/head.mp4"))
    answer = requests.head(here(service, job), timeout=HANG)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, "text/event-stream")
    eventually(lambda: service.job(job["job_uuid"])["status"] == "completed", "the job goes on")
