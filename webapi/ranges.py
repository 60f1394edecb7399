"""Which bytes of a stored file a request wants: conditional and range requests (RFC 9110, 13 and 14)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

from aiohttp import web

from webapi.problems import Problem, Refused

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,4000})-(\d{0,4000})", re.ASCII | re.IGNORECASE)
_ETAG = re.compile(r'(W/)?"([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What to answer: the status, and bytes `start` to `end` (exclusive) where the status has a body."""

    status: HTTPStatus
    start: int = 0
    end: int = 0

    @property
    def length(self) -> int:
        return self.end - self.start


def wanted(method: str, headers: Mapping[str, str], *, etag: str, size: int) -> Slice:
    """The answer to a GET or HEAD for `size` bytes whose strong entity tag is `etag` (without quotes).

    A range that is malformed, of several parts, or conditional on other bytes is ignored, as the standard allows: the whole
    file is sent.
    """
    if (if_match := headers.get("If-Match")) is not None and not _names(if_match, etag, weakly=False):
        return Slice(status=HTTPStatus.PRECONDITION_FAILED)
    if (if_none_match := headers.get("If-None-Match")) is not None and _names(if_none_match, etag, weakly=True):
        return Slice(status=HTTPStatus.NOT_MODIFIED)
    whole = Slice(status=HTTPStatus.OK, end=size)
    found = _RANGE.fullmatch(headers.get("Range", "").strip()) if method == "GET" else None
    if found is None or not _is(headers.get("If-Range"), etag):
        return whole
    return _part(found[1], found[2], size) or whole


def _part(first: str, last: str, size: int) -> Slice | None:
    """None for what is no range at all."""
    if not first:
        return _suffix(last, size) if last else None
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        return Slice(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return Slice(status=HTTPStatus.PARTIAL_CONTENT, start=int(first), end=min(int(last) + 1, size) if last else size)


def _suffix(length: str, size: int) -> Slice:
    if int(length) == 0 or size == 0:
        return Slice(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return Slice(status=HTTPStatus.PARTIAL_CONTENT, start=max(0, size - int(length)), end=size)


def _names(header: str, etag: str, *, weakly: bool) -> bool:
    return header.strip() == "*" or any(value == etag and (weakly or not weak) for weak, value in _ETAG.findall(header))


def _is(if_range: str | None, etag: str) -> bool:
    """Strong comparison; a date, which we never give, is never ours. Without the header, yes."""
    return if_range is None or if_range.strip() == f'"{etag}"'


def answer_for(part: Slice, headers: dict[str, str], size: int) -> web.StreamResponse:
    """The answer to fill with those bytes of `size`; whole already for a 304. Raises `Refused` (412, 416)."""
    match part.status:
        case HTTPStatus.NOT_MODIFIED:
            return web.Response(status=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
        case HTTPStatus.PRECONDITION_FAILED:
            raise Refused(Problem(status=412, code="precondition_failed", detail="The file is not the one you have"))
        case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            beyond = {"Content-Range": f"bytes */{size}"}
            raise Refused(Problem(status=416, code="range_not_satisfiable", detail="The file is shorter than that", headers=beyond))
        case HTTPStatus.PARTIAL_CONTENT:
            headers = {**headers, "Content-Range": f"bytes {part.start}-{part.end - 1}/{size}"}
    response = web.StreamResponse(status=part.status, headers=headers)
    response.content_length = part.length
    return response


async def send_part(request: web.Request, response: web.StreamResponse, file: BinaryIO, part: Slice) -> int:
    """By sendfile: the kernel copies, and the loop stays free. Returns how many bytes went out; fewer when the file shrank."""
    await response.prepare(request)
    sent = part.length
    if request.method != "HEAD" and part.length:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        sent = await asyncio.get_running_loop().sendfile(transport, file, part.start, part.length)
    return sent
