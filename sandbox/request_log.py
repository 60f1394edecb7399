"""What was asked of the media site, and how many bytes it sent for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass

from aiohttp import web

_KEPT = 20_000
OWN_PATHS = ("/_log", "/_reset", "/_channels/")


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request. It is logged when its head has arrived; `status` is None until an answer began."""

    method: str
    path: str
    query: str
    range: str | None
    headers: dict[str, str]
    status: int | None = None
    sent: int = 0
    """Bytes of body handed to the kernel so far; for an answer sent by sendfile, once it ended."""
    ended: bool = False
    """Whether the site is done with it, because all was sent or the client went away."""


ASKED = web.RequestKey("asked", Asked)


class RequestLog:
    """The last 20,000 requests, oldest first. Those about the site itself are not among them."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque(maxlen=_KEPT)
        self._news = asyncio.Event()

    def __iter__(self) -> Iterator[Asked]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)

    def of(self, path: str) -> list[Asked]:
        """The requests for exactly this path."""
        return [asked for asked in self._asked if asked.path == path]

    def sent(self, path: str | None = None) -> int:
        """Bytes of body sent for this path, or for all."""
        return sum(asked.sent for asked in self._asked if path in {None, asked.path})

    def clear(self) -> None:
        self._asked.clear()

    def as_json(self) -> dict[str, object]:
        """`{"requests": [...], "sent": {path: bytes}}`."""
        paths = {asked.path for asked in self._asked}
        return {"requests": [asdict(asked) for asked in self._asked], "sent": {path: self.sent(path) for path in sorted(paths)}}

    async def until(self, condition: Callable[[RequestLog], bool]) -> None:
        """Wait until this holds; it is looked at whenever a request arrives or ends. Whoever calls sets the time limit."""
        while not condition(self):
            self._news.clear()
            await self._news.wait()

    def note(self, request: web.Request) -> Asked:
        """Log the request, unless it is about the log itself."""
        asked = Asked(
            method=request.method,
            path=request.path,
            query=request.query_string,
            range=request.headers.get("Range"),
            headers=dict(request.headers),
        )
        if not request.path.startswith(OWN_PATHS):
            self._asked.append(asked)
            self._news.set()
        return asked

    @web.middleware
    async def middleware(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        """Note each request before it is handled."""
        asked = request[ASKED] = self.note(request)
        try:
            answer = await handler(request)
        finally:
            asked.ended = True
            self._news.set()
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes) and request.method != "HEAD":
            asked.sent = len(answer.body)
        return answer


async def note_status(request: web.Request, answer: web.StreamResponse) -> None:
    """For `Application.on_response_prepare`: what status the answer began with."""
    if ASKED in request:
        request[ASKED].status = answer.status
