"""Files of the local chat over HTTP, in ranges, so that players may seek."""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import Final

from aiohttp import web

from webapi.chat_room import ChatFileNotFound, RoomFile
from webapi.media import attachment
from webapi.ranges import answer_for, send_part, wanted

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
        part = wanted(request.method, request.headers, etag=tag, size=size)
        response = answer_for(part, _headers(file, tag), size)
        if not isinstance(response, web.Response):
            await send_part(request, response, opened, part)
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
