"""Answers that are files: with ranges and validators as RFC 9110 has them, or in one of the ways in which sites get it wrong.

aiohttp's own `FileResponse` is not used: it takes an `If-Range` with an ETag for fulfilled, always sends validators, and does not tell how
many bytes went out before a connection broke.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from io import FileIO
from pathlib import Path

from aiohttp import web

from sandbox.request_log import ASKED

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".vtt": "text/vtt",
    ".ts": "video/mp2t",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".m4s": "video/iso.segment",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 64 * 1024
_TICK = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a file is sent. The default is what a good server does."""

    ranges: bool = True
    validators: bool = True
    length: bool = True
    rate: int | None = None
    """At most so many bytes a second."""
    wait: float = 0.0
    """Seconds before the first byte, headers included."""
    whole: float = 1.0
    """The share of the file that exists: where it ends, the connection is cut."""


GOOD = Manner()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A stretch of a file: `stop` is behind its last byte. `status` is 200, 206 or 416."""

    status: HTTPStatus
    start: int
    stop: int


async def send_file(request: web.Request, path: Path, manner: Manner = GOOD) -> web.StreamResponse:
    """Answer with the file at `path`."""
    await asyncio.sleep(manner.wait)
    stat = await asyncio.to_thread(path.stat)
    validators = _validators(stat) if manner.validators else {}
    if validators and _has_it_already(request, validators["ETag"], stat):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=validators)
    part = _part(request, stat.st_size, validators) if manner.ranges else _Part(status=HTTPStatus.OK, start=0, stop=stat.st_size)
    answer = web.StreamResponse(status=part.status, headers={**validators, **_headers(path, manner, part, stat.st_size)})
    if manner.length:
        answer.content_length = part.stop - part.start
    else:
        answer.enable_chunked_encoding()
    await answer.prepare(request)
    if request.method != "HEAD" and part.stop > part.start:
        # A client that goes away is no error of the site: aiohttp finds out by itself when the answer is to be ended.
        with FileIO(path) as file, suppress(ConnectionError):
            await _send(request, answer, file, part, manner)
    return answer


async def send_paced(request: web.Request, answer: web.StreamResponse, data: bytes, rate: int | None, since: float) -> None:
    """Send `data`; all that this request sent since the loop's time `since` stays below `rate` bytes a second."""
    asked = request[ASKED]
    if rate is not None:
        due = since + (asked.sent + len(data)) / rate
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
    await answer.write(data)
    asked.sent += len(data)


def chunk_size(rate: int | None) -> int:
    """A chunk that lasts for about a twentieth of a second."""
    return _CHUNK if rate is None else max(1, min(_CHUNK, int(rate * _TICK)))


async def _send(request: web.Request, answer: web.StreamResponse, file: FileIO, part: _Part, manner: Manner) -> None:
    if manner.length and manner.rate is None and manner.whole == 1.0:
        await _sendfile(request, file, part)
        return
    end = min(part.stop, int(os.fstat(file.fileno()).st_size * manner.whole))
    file.seek(part.start)
    since = asyncio.get_running_loop().time()
    chunk = chunk_size(manner.rate)
    for position in range(part.start, end, chunk):
        await send_paced(request, answer, file.read(min(chunk, end - position)), manner.rate, since)
    if end < part.stop and request.transport is not None:
        request.transport.close()


async def _sendfile(request: web.Request, file: FileIO, part: _Part) -> None:
    """Without a copy through Python: the site must not be what a benchmark measures."""
    if request.transport is None or request.transport.is_closing():
        raise ConnectionResetError
    file.seek(part.start)
    try:
        await asyncio.get_running_loop().sendfile(request.transport, file, part.start, part.stop - part.start)
    finally:
        # asyncio leaves the file at the place it came to, also when the connection broke.
        request[ASKED].sent += max(0, file.tell() - part.start)


def _validators(stat: os.stat_result) -> dict[str, str]:
    modified = datetime.fromtimestamp(int(stat.st_mtime), UTC)
    return {"ETag": f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"', "Last-Modified": format_datetime(modified, usegmt=True)}


def _has_it_already(request: web.Request, etag: str, stat: os.stat_result) -> bool:
    if (wanted := request.if_none_match) is not None:
        return any(tag.value in {"*", etag.strip('"')} for tag in wanted)
    since = request.if_modified_since
    return since is not None and int(stat.st_mtime) <= since.timestamp()


def _part(request: web.Request, size: int, validators: dict[str, str]) -> _Part:
    whole = _Part(status=HTTPStatus.OK, start=0, stop=size)
    asked = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if asked is None or not any(asked.groups()) or request.headers.get("If-Range", "") not in {"", *validators.values()}:
        return whole
    first, last = asked.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < int(first):
        return whole
    if start >= size:
        return _Part(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, start=0, stop=0)
    return _Part(status=HTTPStatus.PARTIAL_CONTENT, start=start, stop=stop)


def _headers(path: Path, manner: Manner, part: _Part, size: int) -> dict[str, str]:
    headers = {"Content-Type": CONTENT_TYPES.get(path.suffix, "application/octet-stream")}
    if manner.ranges:
        headers["Accept-Ranges"] = "bytes"
    if part.status is HTTPStatus.PARTIAL_CONTENT:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    elif part.status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        headers["Content-Range"] = f"bytes */{size}"
    return headers
