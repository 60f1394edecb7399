"""Stored files over HTTP: `/media/downloads/{folder}/{job}/{file}`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import replace
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote
from uuid import UUID

from aiohttp import web

from service.errors import LinkExpired, LinkInvalid, MediaNotFound
from service.model import JobFile, MediaFile
from service.ports import Database, Media
from service.signed_links import MEDIA, SignedLinks
from webapi.auth import Caller, CallerKind
from webapi.contract import OWNERS, Api, Content
from webapi.parameters import Header, Query
from webapi.problems import not_authenticated
from webapi.ranges import Slice, answer_for, send_part, wanted

log = logging.getLogger("magpie.media")

_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "opus": "audio/ogg",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
"""Everything else goes out as bytes: a browser must never take a file for a page."""
MAX_NAME = 255
"""Bytes; no file system has longer names."""

_ANSWERS: dict[int, Any] = {
    200: Content("application/octet-stream"),
    206: Content("application/octet-stream"),
    304: None,
}


def media_path(folder: UUID | str, job_id: UUID | str, name: str) -> str:
    """The path of a file's address, not percent-encoded: what is signed."""
    return f"/media/downloads/{folder}/{job_id}/{name}"


def media_url_path(folder: UUID | str, job_id: UUID | str, name: str) -> str:
    """The same, percent-encoded: what stands in links."""
    return media_path(folder, job_id, quote(name, safe=""))


class MediaFilesEndpoint:
    """Serves what the database knows of, and nothing else: a path is only ever a key to look up."""

    def __init__(self, *, database: Database, media: Media, links: SignedLinks) -> None:
        self._database, self._media, self._links = database, media, links

    def register(self, api: Api) -> None:
        api.route(
            "GET",
            media_path("{folder}", "{job}", "{file}"),
            access=replace(OWNERS, signed=True),
            tags=["Media"],
            faults=[MediaNotFound, LinkInvalid, LinkExpired],
            answers=_ANSWERS,
            failures=[412, 416],
        )(self.get_media_file)

    async def get_media_file(  # noqa: PLR0917 - called by name
        self,
        request: web.Request,
        caller: Caller,
        folder: str,
        job: str,
        file: str,
        e: Annotated[str | None, Query()] = None,
        s: Annotated[str | None, Query()] = None,
        byte_range: Annotated[str | None, Header("Range")] = None,
    ) -> web.StreamResponse:
        """Download a stored file.

        With a signature (`e`, `s`) for anybody who holds the link, else for its owner. Ranges and entity tags work.
        """
        del byte_range  # read together with the conditions; here for the document
        shown = await self._find(folder, job, file)
        if e is not None or s is not None:
            path = media_path(folder, job, file)
            self._links.check(path, purpose=MEDIA, expiry=e or "", signature=s or "", epoch=shown.epoch if shown else 0)
        elif caller.kind is CallerKind.ANONYMOUS:
            raise not_authenticated()
        elif shown is not None and not await self._may_see(caller, shown):
            raise MediaNotFound
        if shown is None:
            raise MediaNotFound
        slice_ = wanted(request.method, request.headers, etag=shown.media.sha256, size=shown.media.size)
        return await self._send(request, shown, slice_)

    async def _may_see(self, caller: Caller, shown: JobFile) -> bool:
        async with self._database.read() as transaction:
            job = await transaction.jobs.get(shown.job_id)
        return job is not None and caller.owns(job.account_id)

    async def _find(self, folder: str, job: str, name: str) -> JobFile | None:
        try:
            ids = UUID(folder), UUID(job)
        except ValueError:
            return None
        if (str(ids[0]), str(ids[1])) != (folder, job) or len(name.encode(errors="replace")) > MAX_NAME:
            return None
        async with self._database.read() as transaction:
            return await transaction.media_files.shown_as(*ids, name)

    async def _send(self, request: web.Request, shown: JobFile, part: Slice) -> web.StreamResponse:
        response = answer_for(part, _headers(shown), shown.media.size)
        if isinstance(response, web.Response):  # nothing more to send
            return response
        if self._media.local_path(shown.path) is None:
            return await self._stream(request, response, shown.media, part)
        with await asyncio.to_thread(self._opened, shown) as file:
            return await _send_local(request, response, file, shown.media, part)

    def _opened(self, shown: JobFile) -> BinaryIO:
        """The job's own file; should somebody have removed it, the bytes are still where they were first stored."""
        for place in (shown.path, shown.media.location):
            path = self._media.local_path(place)
            with contextlib.suppress(OSError):
                if path is not None:
                    return path.open("rb")
        log.error("stored file cannot be read", extra={"job_id": str(shown.job_id)})
        raise MediaNotFound

    async def _stream(self, request: web.Request, response: web.StreamResponse, media: MediaFile, part: Slice) -> web.StreamResponse:
        """From a store that has no plain files, piece by piece."""
        if not await self._media.exists(media.location):
            log.error("stored object is gone", extra={"media": media.id})
            raise MediaNotFound
        await response.prepare(request)
        if request.method == "HEAD" or part.length == 0:
            return response
        sent = 0
        async for piece in self._media.read(media.location, part.start, part.end):
            await response.write(piece)
            sent += len(piece)
        if sent != part.length:
            log.error("the store sent less than it has", extra={"media": media.id})
            raise ConnectionResetError("the answer broke off")
        return response


async def _send_local(
    request: web.Request, response: web.StreamResponse, file: BinaryIO, media: MediaFile, part: Slice
) -> web.StreamResponse:
    """Raises `MediaNotFound` for a file that is not what it was."""
    if os.fstat(file.fileno()).st_size != media.size:
        log.error("stored file has another size than it had", extra={"media": media.id})
        raise MediaNotFound
    if await send_part(request, response, file, part) != part.length:
        log.error("a stored file shrank while it was sent", extra={"media": media.id})
        raise ConnectionResetError("the answer broke off")
    await response.write_eof()
    return response


def _headers(shown: JobFile) -> dict[str, str]:
    return {
        "Content-Type": _TYPES.get(shown.media.extension.lower().lstrip("."), "application/octet-stream"),
        "Content-Disposition": attachment(shown.name),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        # A player on another site may play what it holds a link to.
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": f'"{shown.media.sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private",
    }


def attachment(name: str) -> str:
    """A `Content-Disposition` with the name in full (RFC 6266), and in ASCII for clients that read no other."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
