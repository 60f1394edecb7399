"""Requests that are under way when an import begins: none of them may go on afterwards with a number of before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from service.errors import Unavailable
from service.health import ServiceState, Stage
from tests.unit.webapi.toy import Bird, trusting
from webapi.auth import Caller
from webapi.contract import ACCOUNTS, EVERYBODY, Api, Content
from webapi.in_flight import InFlight
from webapi.server import HttpServer, build_app

NO_TIME = timedelta(0)
HANG = 20.0


@dataclass
class House:
    """What is asked of it, and what it was still asked when all should have gone."""

    state: ServiceState = field(default_factory=lambda: ServiceState(Stage.READY))
    in_flight: InFlight = field(default_factory=lambda: InFlight(grace=NO_TIME, patience=timedelta(seconds=HANG)))
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    written: list[str] = field(default_factory=list)
    port: int = 0

    def api(self) -> Api:
        api = Api(title="House", version="1")

        @api.route("POST", "/birds", access=ACCOUNTS)
        async def add_bird(body: Bird, caller: Caller) -> str:
            self.written.append(f"{body.name} of {caller.account_id}")
            return body.name

        @api.route("POST", "/slow", access=ACCOUNTS)
        async def slow() -> str:
            self.reached.set()
            await self.gate.wait()
            return "done"

        @api.route("POST", "/deaf", access=ACCOUNTS)
        async def deaf() -> str:
            self.reached.set()
            while not self.gate.is_set():
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    continue
            return "done"

        @api.route("GET", "/stream", access=ACCOUNTS, answers={200: Content("text/plain")})
        async def stream(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"first")
            self.reached.set()
            await self.gate.wait()
            return response

        @api.route("GET", "/how", access=EVERYBODY, while_not_ready=True)
        async def how() -> str:
            self.reached.set()
            await self.gate.wait()
            return "going on"

        return api

    async def ask(self, method: str, path: str) -> tuple[int, str]:
        async with aiohttp.request(method, f"http://127.0.0.1:{self.port}{path}") as got:
            return got.status, await got.text()


@asynccontextmanager
async def housed(house: House) -> AsyncIterator[House]:
    server = HttpServer(build_app(house.api(), authenticator=trusting(), state=house.state, in_flight=house.in_flight), port=0)
    await server.start()
    house.port = server.port
    async with asyncio.timeout(HANG):
        yield house
    house.gate.set()
    await server.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with housed(House()) as house:
        yield house


async def test_a_request_whose_body_comes_after_an_import_writes_nothing(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    body = b'{"name": "wren"}'
    head = f"POST /birds HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body[:3])
    while not house.in_flight.count:
        await asyncio.sleep(0.01)
    house.state.move_to(Stage.IMPORTING)
    await house.in_flight.end()
    house.state.move_to(Stage.READY)
    writer.write(body[3:])
    told = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After" in told
    assert house.written == []


async def test_whoever_waits_for_an_answer_is_told_to_come_again(house: House) -> None:
    asking = asyncio.create_task(house.ask("POST", "/slow"))
    await house.reached.wait()
    house.state.move_to(Stage.IMPORTING)
    await house.in_flight.end()
    status, text = await asking
    assert (status, '"code": "importing"' in text) == (503, True)


async def test_what_ends_by_itself_in_the_grace_is_answered() -> None:
    async with housed(House(in_flight=InFlight(grace=timedelta(seconds=HANG)))) as house:
        asking = asyncio.create_task(house.ask("POST", "/slow"))
        await house.reached.wait()
        ending = asyncio.create_task(house.in_flight.end())
        await asyncio.sleep(0)
        house.gate.set()
        await ending
        assert (await asking)[0] == 200


async def test_an_answer_that_is_under_way_is_broken_off(house: House) -> None:
    asking = asyncio.create_task(house.ask("GET", "/stream"))
    await house.reached.wait()
    await house.in_flight.end()
    with pytest.raises(aiohttp.ClientPayloadError):
        await asking


async def test_what_does_not_end_is_told() -> None:
    async with housed(House(in_flight=InFlight(grace=NO_TIME, patience=NO_TIME))) as house:
        asking = asyncio.create_task(house.ask("POST", "/deaf"))
        await house.reached.wait()
        with pytest.raises(Unavailable, match="do not end"):
            await house.in_flight.end()
        house.gate.set()
        await asking


async def test_whoever_asks_how_it_goes_is_in_nobodys_way(house: House) -> None:
    asking = asyncio.create_task(house.ask("GET", "/how"))
    await house.reached.wait()
    await house.in_flight.end()
    house.gate.set()
    assert await asking == (200, '"going on"')
