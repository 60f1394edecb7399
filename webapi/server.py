"""The aiohttp application around an `Api`, and the sockets it listens on."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from service.credentials import Scope
from service.errors import TooManyTries
from service.health import ServiceState
from service.metrics import HttpMeter
from service.rates import Rate, Rates
from webapi.auth import Caller, CallerKind, Identifies
from webapi.contract import ALLOWED, Api, Endpoint
from webapi.credentials import COOKIE, COOKIE_IS_OLD
from webapi.in_flight import InFlight
from webapi.problems import INTERNAL, PROBLEMS, ErrorShape, Problem, Refused, not_ready, problem_of, refused_by_access

log = logging.getLogger("magpie.http")

MAX_BODY: Final = 2**20
"""Bytes that a request's body may have, unless its endpoint says otherwise."""
LOOPBACK: Final = ("127.0.0.1", "::1")

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer, unless the endpoint sets its own."""

REQUEST_ID: Final = web.RequestKey("request_id", str)
"""Where a request keeps its number, which is in its log lines and in the header `X-Request-ID`."""

IS_ANSWERED: Final = web.RequestKey("is_answered", bool)
"""Whether an answer has begun."""

SESSION_HEADER: Final = "X-Session-ID"
"""The id of a download session, which opens it."""

_UNKNOWN_CALLER: Final = Caller(kind=CallerKind.ANONYMOUS, account_id=None, address="")


class Served:
    """An endpoint at work: is the service ready, who calls, may they, and then the endpoint itself."""

    def __init__(
        self,
        endpoint: Endpoint,
        authenticator: Identifies,
        state: ServiceState,
        rates: Rates | None = None,
        in_flight: InFlight | None = None,
    ) -> None:
        self.endpoint, self._authenticator, self._state, self._rates = endpoint, authenticator, state, rates
        self._in_flight = in_flight or InFlight()
        self._asks_who = endpoint.asks_who
        self._verdicts = {kind: endpoint.access.verdict(kind) for kind in CallerKind}
        self._only_reads = endpoint.access.reads or (endpoint.method == "GET" and not endpoint.access.reveals)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if self.endpoint.while_not_ready:
            return await self._respond(request)
        if not self._state.is_ready:
            raise not_ready(self._state.state)
        self._in_flight.note()  # in the same step: from now on an import waits for it
        try:
            return await self._respond(request)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not self._in_flight.is_sent_away():
                raise
            task.uncancel()
            if request.get(IS_ANSWERED):
                raise ConnectionResetError("the answer broke off") from None
            raise not_ready(self._state.state) from None

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        endpoint = self.endpoint
        if not self._asks_who:
            return await endpoint.respond(request, _UNKNOWN_CALLER)
        caller = await self._identified(request)
        await self._count(caller)
        verdict = self._verdicts[caller.kind]
        if verdict == ALLOWED and self._covers(caller.scope):
            return await endpoint.respond(request, caller)
        nobody = replace(_UNKNOWN_CALLER, address=caller.address)
        if endpoint.access.signed and ("s" in request.query or "e" in request.query):
            return await endpoint.respond(request, nobody)  # whatever else it may be
        if endpoint.access.session and caller.kind is CallerKind.ANONYMOUS and SESSION_HEADER in request.headers:
            return await endpoint.respond(request, caller)
        if verdict == ALLOWED and endpoint.access.anonymous == ALLOWED:
            return await self._respond_to_narrow_key(request, nobody)
        raise refused_by_access(403 if verdict == ALLOWED else verdict)

    def _covers(self, scope: Scope) -> bool:
        match scope:
            case Scope.ALL:
                return True
            case Scope.READ:
                return self._only_reads
            case Scope.METRICS:
                return self.endpoint.access.metrics

    async def _respond_to_narrow_key(self, request: web.Request, nobody: Caller) -> web.StreamResponse:
        """What anybody may do it may do too, but not with its owner's rights."""
        try:
            return await self.endpoint.respond(request, nobody)
        except Refused as refused:
            if refused.problem.status == HTTPStatus.UNAUTHORIZED:
                raise refused_by_access(403) from None  # the key is a good one
            raise

    async def _identified(self, request: web.Request) -> Caller:
        """A wrong credential counts as a request of nobody known. Raises `Refused`, `TooManyTries`."""
        try:
            return await self._authenticator.identify(request, is_public=self.endpoint.access.anonymous == ALLOWED)
        except Refused:
            await self._count(replace(_UNKNOWN_CALLER, address=self._authenticator.address_of(request)))
            raise

    async def _count(self, caller: Caller) -> None:
        """So many requests a minute; this machine's own user may ask as often as it likes. Raises `TooManyTries`."""
        if self._rates is None or caller.is_local:
            return
        if caller.key_id is not None:
            wait = await self._rates.hit(Rate.REQUESTS, f"key:{caller.key_id}")
        elif caller.account_id is not None:
            wait = await self._rates.hit(Rate.REQUESTS, f"account:{caller.account_id}")
        else:
            wait = await self._rates.hit(Rate.ANONYMOUS_REQUESTS, caller.address)
        if wait is not None:
            raise TooManyTries("Too many requests; wait a little.", retry_after=wait)


def build_app(
    api: Api,
    *,
    authenticator: Identifies,
    state: ServiceState,
    rates: Rates | None = None,
    max_body: int = MAX_BODY,
    meter: HttpMeter | None = None,
    in_flight: InFlight | None = None,
) -> web.Application:
    """The application with every endpoint of the `Api`. `state` is read at each request; `meter` and `in_flight` hear of each."""
    metered = [] if meter is None else [_Metered(meter).middleware]
    app = web.Application(middlewares=[*metered, _Errors(api).middleware], client_max_size=max_body)
    app.on_response_prepare.append(_finish_headers)
    for endpoint in api.endpoints:
        served = Served(endpoint, authenticator, state, rates, in_flight)
        for path in _spellings(endpoint.path):
            for method in ("GET", "HEAD") if endpoint.method == "GET" else (endpoint.method,):
                app.router.add_route(method, path, served.respond, expect_handler=_expect)
    return app


def _spellings(path: str) -> tuple[str, ...]:
    """With and without the trailing slash. A name in braces stands for one whole segment, whatever it holds."""
    pattern = path.replace("}", ":[^/]+}")
    return (pattern,) if path == "/" else (pattern, pattern + "/")


async def _expect(request: web.Request) -> None:
    """Expectations other than this one may be ignored (RFC 9110, 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        request.writer.output_size = 0
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


async def _finish_headers(request: web.Request, response: web.StreamResponse) -> None:
    request[IS_ANSWERED] = True
    headers = response.headers
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers["X-Request-ID"] = request[REQUEST_ID]
    if request.get(COOKIE_IS_OLD):
        # Not `del_cookie`: by now the cookies have been written into the headers.
        headers.add("Set-Cookie", f"{COOKIE}=; Max-Age=0; Path=/")
    headers["Server"] = "magpie"


# --- errors -----------------------------------------------------------------------------------------------------------


class _Errors:
    """Turns every exception into a body, in the shape that the endpoint has for its errors."""

    def __init__(self, api: Api) -> None:
        self._own_shapes = {endpoint.path: endpoint.errors for endpoint in api.endpoints if endpoint.errors is not PROBLEMS}

        @web.middleware
        async def middleware(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> web.StreamResponse:
            request[REQUEST_ID] = secrets.token_hex(8)
            try:
                return await handler(request)  # type: ignore[no-any-return] # aiohttp's own type says so
            except (ConnectionError, web.HTTPRedirection):
                raise
            except Exception as error:  # noqa: BLE001 - the outermost loop of a request
                return self._answer(request, error)

        self.middleware = middleware

    def _answer(self, request: web.Request, error: Exception) -> web.Response:
        problem = problem_of(error)
        if problem is None or request.writer.output_size > 0:
            log.error("request failed", exc_info=error, extra={"request_id": request[REQUEST_ID], "route": _route(request)})
        if request.writer.output_size > 0:
            # The answer is under way: a second one would end up inside it. The only honest thing left is to break off.
            raise ConnectionResetError("the answer broke off")
        return self._shape(request).render(problem or INTERNAL)

    def _shape(self, request: web.Request) -> ErrorShape:
        if (served := _served(request)) is not None:
            return served.endpoint.errors
        return self._own_shapes.get(request.path.rstrip("/"), PROBLEMS)


def _served(request: web.Request) -> Served | None:
    served = getattr(request.match_info.handler, "__self__", None)
    return served if isinstance(served, Served) else None


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource else '-'}"


# --- figures ----------------------------------------------------------------------------------------------------------

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BROKEN_OFF: Final = 499
"""What counts as the status of an answer that never came to its end."""


class _Metered:
    """Tells the meter of each request what it may be counted by: nothing that a caller can make up."""

    def __init__(self, meter: HttpMeter) -> None:
        @web.middleware
        async def middleware(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> web.StreamResponse:
            clock = asyncio.get_running_loop().time
            began, status, is_timed = clock(), _BROKEN_OFF, False
            try:
                response: web.StreamResponse = await handler(request)
                status, is_timed = response.status, not _is_stream(response)
            except web.HTTPException as answer:
                status, is_timed = answer.status, True
                raise
            else:
                return response
            finally:
                served = _served(request)
                meter.answered(
                    method=request.method if request.method in _METHODS else "other",
                    route=served.endpoint.path if served else "-",
                    status=status,
                    seconds=clock() - began if is_timed else None,
                )

        self.middleware = middleware


def _is_stream(response: web.StreamResponse) -> bool:
    return response.status == HTTPStatus.SWITCHING_PROTOCOLS or response.content_type == "text/event-stream"


# --- the log of requests ----------------------------------------------------------------------------------------------


_CREDENTIAL: Final = re.compile(r"(/api/sessions/+|/feeds/+)(?!stats/)[^/?#\s]+", re.IGNORECASE)


def _without_credentials(path: str) -> str:
    """The id of an open session is a credential, and so is a feed's token: both stand in the paths of their own routes."""
    return _CREDENTIAL.sub(r"\1…", path)


class AccessLog(AbstractAccessLogger):
    """One line a request, without the query (signatures are in it) and as it was sent: percent-encoding keeps it one line."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        path = _without_credentials(request.raw_path.partition("?")[0].encode("ascii", "backslashreplace").decode())
        request_id = request.get(REQUEST_ID, "-")
        line = "%s %s %s", request.method, path, response.status
        self.logger.info(*line, extra={"request_id": request_id, "status": response.status, "seconds": round(time, 4)})

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)


# --- listening --------------------------------------------------------------------------------------------------------


class _Connection(web.RequestHandler):
    """Answers what is not even HTTP in our shape, and does not log it as an error: it is the sender's."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        del message  # it repeats what was sent
        if isinstance(exc, ConnectionError):
            log.info("the connection to %s broke off", request.remote)
            raise ConnectionResetError("the answer broke off")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("connection failed", exc_info=exc)
            problem = INTERNAL
        else:
            log.info("malformed HTTP from %s: %s", request.remote, type(exc).__name__)
            problem = Problem(status=status, code="malformed_request", detail="This is not a valid HTTP request")
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer broke off")
        response = PROBLEMS.render(problem)
        response.headers.update(SECURITY_HEADERS | {"Server": "magpie"})
        response.force_close()
        return response


class HttpServer:
    """Listens on all its hosts, with one port.

    To stop: `stop_listening()` first, so that nothing new arrives; `close()` at the end, which gives what is still being
    answered a second.
    """

    def __init__(self, app: web.Application, *, hosts: Sequence[str] = LOOPBACK, port: int = 8000) -> None:
        self._hosts, self._port = tuple(hosts), port
        self._runner = _Runner(app, handle_signals=False, shutdown_timeout=1, access_log=log, access_log_class=AccessLog, logger=log)
        self._sites: list[web.SockSite] = []
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Where it really listens."""

    @property
    def port(self) -> int:
        """The port; one that the system chose, when it was asked for port 0."""
        return self.addresses[0][1] if self.addresses else self._port

    async def start(self) -> None:
        """Raises `OSError` when the port is taken, or none of the hosts exists on this machine."""
        sockets = bind(self._hosts, self._port)
        try:
            await self._runner.setup()
            for one in sockets:
                site = web.SockSite(self._runner, one)
                await site.start()
                self._sites.append(site)
        except BaseException:
            for one in sockets:
                one.close()
            raise
        self.addresses = tuple(one.getsockname()[:2] for one in sockets)
        log.info("listening", extra={"addresses": [f"{host}:{port}" for host, port in self.addresses]})

    async def stop_listening(self) -> None:
        """Accept no new connections. Idempotent."""
        while self._sites:
            await self._sites.pop().stop()

    async def close(self) -> None:
        """End everything. Idempotent."""
        await self.stop_listening()
        await self._runner.cleanup()


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server  # aiohttp has no public way to give a server its connection class
        return server


_ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_TRIES = 20


def bind(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Sockets on these addresses (literal, or `localhost`), all with the same port; 0 finds one that is free on each.

    A host that this machine does not have (IPv6 may be switched off) is left out. Raises `OSError` if none is left, or if
    the port is taken on any: whoever holds it there would get half of our callers.
    """
    for _ in range(_TRIES):
        sockets: list[socket.socket] = []
        try:
            for host in hosts:
                _bind_one(sockets, host, sockets[0].getsockname()[1] if sockets else port)
        except OSError as failed:
            for one in sockets:
                one.close()
            if port == 0 and sockets and failed.errno == errno.EADDRINUSE:
                continue  # free on the first host, not on the next: try another
            raise
        if sockets:
            return sockets
    raise OSError(errno.EADDRNOTAVAIL, f"none of these addresses can be listened on: {', '.join(hosts)}")


def _bind_one(sockets: list[socket.socket], host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    try:
        one = socket.socket(family, kind, protocol)
    except OSError as failed:
        if failed.errno in _ABSENT:
            return
        raise
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
    except OSError as failed:
        one.close()
        if failed.errno in _ABSENT:
            return
        raise
    sockets.append(one)
