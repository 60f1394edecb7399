"""Files of the local chat over HTTP, in ranges, so that players may seek."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import PurePath
from typing import BinaryIO, Final

from aiohttp import web

from webapi.chat_room import ChatFileNotFound, RoomFile
from webapi.media import attachment
from webapi.problems import Problem, Refused
from webapi.ranges import Slice, wanted

_SHOWN: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "opus": "audio/ogg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
}
"""What a page may show or play, by the name's ending. All else goes out as bytes to keep: it must never be taken for a page."""


async def send_room_file(request: web.Request, file: RoomFile, tag: str) -> web.StreamResponse:
    """The file, or the part of it that is asked for. `tag` names these bytes and no others. Raises `Refused`, `ChatFileNotFound`."""
    try:
        opened = await asyncio.to_thread(file.path.open, "rb")
    except OSError:
        raise ChatFileNotFound from None
    with opened:
        size = await asyncio.to_thread(opened.seek, 0, 2)
        return await _send(request, opened, size, wanted(request.method, request.headers, etag=tag, size=size), _headers(file, tag))


async def _send(request: web.Request, file: BinaryIO, size: int, part: Slice, headers: dict[str, str]) -> web.StreamResponse:
    if part.status is HTTPStatus.NOT_MODIFIED:
        return web.Response(status=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
    if part.status is HTTPStatus.PRECONDITION_FAILED:
        raise Refused(Problem(status=412, code="precondition_failed", detail="The file is not the one you have"))
    if part.status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        beyond = {"Content-Range": f"bytes */{size}"}
        raise Refused(Problem(status=416, code="range_not_satisfiable", detail="The file is shorter than that", headers=beyond))
    if part.status is HTTPStatus.PARTIAL_CONTENT:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    response = web.StreamResponse(status=part.status, headers=headers)
    response.content_length = part.length
    await response.prepare(request)
    if request.method != "HEAD" and part.length:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        await asyncio.get_running_loop().sendfile(transport, file, part.start, part.length)
    await response.write_eof()
    return response


def _headers(file: RoomFile, tag: str) -> dict[str, str]:
    shown = _SHOWN.get(PurePath(file.name).suffix.lower().lstrip(".")) or (file.mime if file.mime in _SHOWN.values() else None)
    return {
        "Content-Type": shown or "application/octet-stream",
        "Content-Disposition": attachment(file.name) if shown is None else attachment(file.name).replace("attachment", "inline", 1),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "ETag": f'"{tag}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
