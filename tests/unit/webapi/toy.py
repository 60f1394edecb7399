"""An API that has a bit of everything, and a way to serve any API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import aiohttp
from aiohttp import web
from pydantic import BaseModel, Field

from service.errors import Conflict, InvalidSelection, LimitReached, NotFound, Unavailable
from service.health import ServiceState, Stage
from webapi.auth import Authenticator, Caller, Identifies, local_trust
from webapi.contract import ALLOWED, EVERYBODY, TRUSTED, Access, Api, Content, Reply
from webapi.parameters import FORM, JSON, Body, Cookie, File, Form, Header, Integer, Query, Raw, Upload
from webapi.problems import ErrorShape, Problem
from webapi.server import LOOPBACK, HttpServer, build_app


class Bird(BaseModel):
    name: str = Field(min_length=1, max_length=20)
    wings: Integer = Field(default=2, ge=0, le=4)
    song: list[str] = []


class Flock(BaseModel):
    name: str
    wings: int = 2
    song: list[str] = []


class Shown(BaseModel):
    name: str
    size: int


class OwnBody(BaseModel):
    success: bool = False
    error: str
    code: str


class OwnErrors(ErrorShape):
    """As the auto-download endpoint has them."""

    def status_of(self, status: int) -> int:
        return 400 if status in {404, 422} else status

    def content(self, status: int) -> tuple[str, type[BaseModel]]:
        del status
        return "application/json", OwnBody

    def body(self, problem: Problem) -> Mapping[str, Any]:
        return {"success": False, "error": problem.sentence, "code": problem.code}


class NoSuchBird(NotFound):
    """There is no such bird"""

    code = "no_such_bird"


class BrokenError(Exception):
    """With a secret in it: /home/somebody/secret.db."""


def toy_api() -> Api:
    api = Api(title="Birds", version="1.0", description="All about birds.")
    _add_birds(api)
    _add_forms(api)
    _add_failures(api)
    return api


def _add_birds(api: Api) -> None:
    @api.route("GET", "/birds/{bird_id}", access=TRUSTED, faults=[NoSuchBird], tags=["Birds"])
    async def get_bird(  # noqa: PLR0917 - called by name
        bird_id: Annotated[int, Field(ge=1, le=2**31)],
        caller: Caller,
        shout: bool = False,  # noqa: FBT001, FBT002 - a query parameter
        tags: Annotated[list[str] | None, Query("tag")] = None,
        since: Annotated[str | None, Header("X-Since")] = None,
        flock: Annotated[str | None, Cookie()] = None,
    ) -> Shown:
        """One bird.

        It says who asks.
        """
        if bird_id > 1000:
            raise NoSuchBird
        name = "|".join([caller.kind, *(tags or []), *filter(None, (since, flock))])
        return Shown(name=name.upper() if shout else name, size=bird_id)

    @api.route("POST", "/birds", access=TRUSTED, status=201, answers={201: Bird, 202: None}, tags=["Birds"])
    async def add_bird(body: Bird) -> Reply:
        """Add a bird."""
        return Reply(body, headers={"Location": "/birds/1"}) if body.wings else Reply(None, status=202)

    @api.route("DELETE", "/birds/{bird_id}", access=Access(anonymous=401, local=403, owner=403, other=403, superuser=403), tags=["Birds"])
    async def delete_bird(bird_id: str) -> Shown:
        """Nobody may."""
        return Shown(name=bird_id, size=0)

    @api.route("GET", "/hello", access=EVERYBODY)
    async def hello(name: str = "you") -> Shown:
        return Shown(name=name, size=len(name))

    @api.route("GET", "/stream", access=EVERYBODY, answers={200: Content("text/plain")})
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"half of ")
        if "break" in request.query:
            raise BrokenError
        await response.write(b"it all")
        return response


def _add_forms(api: Api) -> None:
    @api.route("POST", "/upload", access=TRUSTED, max_size=100_000, tags=["Forms"])
    async def upload(file: Annotated[Upload, File()], note: Annotated[str, Form()] = "") -> Shown:
        return Shown(name=note or file.filename, size=len(file.content))

    @api.route("POST", "/form", access=TRUSTED, tags=["Forms"])
    async def send_form(name: Annotated[str, Form()], wings: Annotated[int | None, Form()] = None) -> Shown:
        return Shown(name=name, size=wings or 0)

    @api.route("PUT", "/either", access=TRUSTED, tags=["Forms"])
    async def send_either(body: Annotated[Flock, Body(accepts=(JSON, FORM))]) -> Flock:
        return body

    @api.route("PATCH", "/optional", access=TRUSTED)
    async def send_optional(body: Bird | None = None) -> Shown:
        return Shown(name=body.name if body else "nobody", size=0)

    @api.route("GET", "/own/{name}", access=TRUSTED, errors=OwnErrors())
    async def get_own(name: str) -> Shown:
        raise NoSuchBird(f"There is no {name}")

    @api.route("POST", "/own", access=TRUSTED, errors=OwnErrors(), max_size=20_000)
    async def send_raw(body: Annotated[bytes, Raw(Bird)], wanted: Annotated[str | None, Query()] = None) -> Shown:
        try:
            bird = json.loads(body)
        except (ValueError, RecursionError):
            raise InvalidSelection("body", "Invalid JSON in request body") from None
        if wanted == "crash":
            raise BrokenError
        return Shown(name=type(bird).__name__, size=len(body))


@dataclass
class Failure:
    error: Exception


def _add_failures(api: Api) -> None:
    failures: dict[str, Exception] = {
        "conflict": Conflict("There is a nest already"),
        "limit": LimitReached(retry_after=timedelta(seconds=90)),
        "busy": Unavailable(),
        "selection": InvalidSelection("format", "format must be one of: mp3"),
        "moved": web.HTTPSeeOther("/hello"),
        "crash": BrokenError(),
    }

    @api.route("GET", "/fail/{how}", access=EVERYBODY, faults=[Conflict, LimitReached, NoSuchBird, InvalidSelection], answers={303: None})
    async def fail(how: str) -> None:
        raise failures.get(how, NoSuchBird())

    @api.route("GET", "/signed", access=Access(anonymous=401, local=ALLOWED, owner=ALLOWED, other=ALLOWED, superuser=ALLOWED, signed=True))
    async def signed() -> Shown:
        return Shown(name="opened", size=0)


def trusting() -> Authenticator:
    return Authenticator(trust=local_trust(enabled=True, listen=LOOPBACK, public_urls=()))


@dataclass(frozen=True)
class Site:
    """A server at work and a client for it."""

    server: HttpServer
    http: aiohttp.ClientSession
    state: ServiceState

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def send(self, raw: bytes, host: str = "127.0.0.1") -> tuple[int, dict[str, str], bytes]:
        """One request as it stands, answered with status, headers and body."""
        import asyncio

        reader, writer = await asyncio.open_connection(host, self.server.port)
        writer.write(raw)
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        writer.close()
        return int(lines[0].split()[1]), headers, body


@asynccontextmanager
async def served(api: Api, *, authenticator: Identifies | None = None, state: ServiceState | None = None) -> AsyncIterator[Site]:
    """The API on both loopbacks, on a free port."""
    state = state or ServiceState(Stage.READY)
    server = HttpServer(build_app(api, authenticator=authenticator or trusting(), state=state), port=0)
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            yield Site(server, http, state)
    finally:
        await server.close()
