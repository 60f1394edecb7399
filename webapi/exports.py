"""`GET /api/v1/users/me/export`: a ZIP of everything that is held of whoever asks, made while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from zipfile import ZIP_STORED

from aiohttp import web
from zipstream import ZipStream

from service.accounts import Accounts
from service.exports import Exports
from service.model import LOCAL_ACCOUNT
from service.ports import Media
from webapi.auth import Caller
from webapi.contract import ACCOUNTS, Api, Content
from webapi.media import attachment


class ExportEndpoint:
    """Nothing of it is kept on the disk, and little in memory."""

    def __init__(self, *, exports: Exports, accounts: Accounts, media: Media) -> None:
        self._exports, self._accounts, self._media = exports, accounts, media

    def register(self, api: Api) -> None:
        api.route("GET", "/api/v1/users/me/export", access=ACCOUNTS, tags=["Me"], answers={200: Content("application/zip")})(self.export_me)

    async def export_me(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Everything that is held of whoever asks: what is known as JSON, and the files."""
        account = await self._accounts.get(caller.account_id if caller.account_id is not None else LOCAL_ACCOUNT)
        archive = ZipStream(compress_type=ZIP_STORED, sized=False)  # media are compressed already
        async for page in self._exports.pages(account):
            archive.add(page.content, arcname=page.name)
        loop = asyncio.get_running_loop()
        for file in await self._exports.files(account):
            name = f"files/{file.job_id}/{file.name}"
            local = self._media.local_path(file.media.location)
            if local is None:
                archive.add(_pulled(self._media.read(file.media.location, 0, file.media.size), loop), arcname=name)
            elif await asyncio.to_thread(local.is_file):
                archive.add_path(str(local), arcname=name)
        headers = {"Content-Disposition": attachment(f"magpie-{account.username}.zip"), "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "application/zip"
        await response.prepare(request)
        if request.method != "HEAD":
            chunks = iter(archive)
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                await response.write(chunk)
        await response.write_eof()
        return response


def _pulled(pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """For the thread that makes the archive: what the loop reads from a bucket."""

    async def following() -> bytes | None:
        return await anext(pieces, None)

    while (piece := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
        yield piece
