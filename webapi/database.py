"""`/api/v1/database/…`: everything that is held as one file, and back again. For superusers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel

from service.backup import LARGEST, Backups, Import, Importer, ImportState, is_full
from service.errors import DiskFull, ImportNotFound, ImportUnderWay, InvalidDump
from service.ports import Clock
from webapi.auth import Caller
from webapi.contract import SUPERUSERS, Api, Content
from webapi.parameters import MULTIPART, Streamed
from webapi.problems import FieldError, invalid, malformed, unsupported_media_type

STATUS_URL = "/api/v1/database/import"
STARTED = (
    "Database import process started in the background. The application might restart or become temporarily unavailable."
    " Please check server logs for status."
)
ENOUGH = 8192
"""Bytes of a file that tell whether it may be a dump."""
CHUNK = 1 << 18


class ImportStarted(BaseModel):
    """The import goes on in the background; `status_url` tells how."""

    message: str
    import_id: UUID
    status_url: str


class ImportView(BaseModel):
    """How the last import goes, or went. `state` is `validating`, `stopping`, `swapping`, `done` or `failed`."""

    import_id: UUID
    state: ImportState
    message: str
    started_at: datetime
    ended_at: datetime | None
    made_at: datetime | None
    counts: dict[str, int]
    failed_jobs: int
    missing_files: int
    lost_secrets: int
    kept_as: str | None
    must_log_in: bool


class DumpForm(BaseModel):
    """One file, whose name ends in `.sql`."""

    file: bytes


class DatabaseEndpoints:
    """Neither keeps the file in memory."""

    def __init__(self, backups: Backups, clock: Clock, new_file: Callable[[], Path], *, largest: int = LARGEST) -> None:
        self._backups, self._clock, self._new_file, self._largest = backups, clock, new_file, largest

    def register(self, api: Api) -> None:
        tags = ["Database"]
        whole = replace(SUPERUSERS, reveals=True)
        api.route("GET", "/api/v1/database/export", access=whole, tags=tags, answers={200: Content("application/sql")})(self.export)
        api.route("POST", STATUS_URL, access=SUPERUSERS, tags=tags, faults=[InvalidDump, ImportUnderWay, DiskFull], failures=[413, 422])(
            self.import_database
        )
        api.route("GET", STATUS_URL, access=SUPERUSERS, tags=tags, faults=[ImportNotFound], while_not_ready=True)(self.get_import)

    async def export(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Everything that the database holds, as it was when the export began, as a file of SQL.

        Of API keys only those of scope `all` may ask for it: whoever has it has everybody's log-in.
        """
        name = f"media_auto_saver_backup_{self._clock.now():%Y%m%d_%H%M%S}.sql"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "application/sql"
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        pieces = await self._backups.export(caller.actor)
        await response.prepare(request)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    async def import_database(
        self, request: web.Request, caller: Caller, form: Annotated[bytes, Streamed(model=DumpForm, media_type=MULTIPART)]
    ) -> ImportStarted:
        """Put a file that was exported in place of all that there is now. It is looked through first: unless all of it is sound,
        nothing changes. Meanwhile other requests get 503 with `Retry-After`, and what is under way is cancelled. Whoever is not in
        the file cannot ask afterwards how it went: the log says so.
        """
        del form  # read from the request, a piece at a time
        file = await asyncio.to_thread(self._new_file)
        try:
            await self._receive(request, file)
            importer = Importer(account=caller.account, key_id=caller.key_id)
            started = self._backups.start(file, importer)
        except BaseException:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            raise
        return ImportStarted(message=STARTED, import_id=started.id, status_url=STATUS_URL)

    async def get_import(self) -> ImportView:
        """How the last import goes, or went."""
        return _view(await self._backups.last())

    async def _receive(self, request: web.Request, file: Path) -> None:
        """Raises `Refused`, `InvalidDump`, `ImportUnderWay`, `DiskFull`, `HTTPRequestEntityTooLarge`."""
        if request.content_type != MULTIPART:
            raise unsupported_media_type(MULTIPART)
        await asyncio.to_thread(self._backups.check_room, min(request.content_length or 0, self._largest))
        found = False
        try:
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader) or part.name != "file" or found:
                    raise invalid([_wrong(str(getattr(part, "name", None) or "file"), "Only one file is accepted, named file")])
                if not (part.filename or "").lower().endswith(".sql"):
                    raise invalid([_wrong("file", "Only files whose name ends in .sql are accepted")])
                await self._store(part, file)
                found = True
        except OSError as wrong:
            if is_full(wrong):
                raise DiskFull from None
            raise
        except (ValueError, LookupError, RuntimeError, AssertionError, HttpProcessingError, web.RequestPayloadError):
            raise malformed("The body is not a valid form") from None
        if not found:
            raise invalid([{"loc": ["body", "file"], "msg": "Field required", "type": "missing"}])

    async def _store(self, part: BodyPartReader, file: Path) -> None:
        beginning, size, is_known = b"", 0, False
        with await asyncio.to_thread(_private, file) as stored:
            while chunk := await part.read_chunk(CHUNK):
                size += len(chunk)
                if size > self._largest:
                    raise web.HTTPRequestEntityTooLarge(max_size=self._largest, actual_size=size)
                if not is_known:
                    beginning += chunk
                    is_known = len(beginning) >= ENOUGH
                    if is_known:
                        self._backups.check_beginning(beginning)
                await asyncio.to_thread(stored.write, chunk)
        if not is_known:
            self._backups.check_beginning(beginning)


def _private(file: Path) -> Any:
    file.touch(0o600)
    return file.open("wb")


def _wrong(name: str, message: str) -> FieldError:
    return {"loc": ["body", name], "msg": message, "type": "value_error"}


def _view(one: Import) -> ImportView:
    return ImportView(
        import_id=one.id,
        state=one.state,
        message=one.message,
        started_at=one.started_at,
        ended_at=one.ended_at,
        made_at=one.made_at,
        counts=dict(one.counts),
        failed_jobs=one.failed_jobs,
        missing_files=one.missing_files,
        lost_secrets=one.lost_secrets,
        kept_as=one.kept_as,
        must_log_in=one.must_log_in,
    )
