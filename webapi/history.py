"""`/api/v1/history/…`: what became of what was asked for, looked through and taken away."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, Field

from service.errors import HistoryEntryNotFound
from service.history import Histories, HistoryFilter
from service.model import HistoryEntry, JobFile, Origin, Outcome
from service.ports import Clock
from webapi.accounts import BigId
from webapi.addresses import Addresses
from webapi.auth import Caller
from webapi.contract import ACCOUNTS, OWNERS, Api, Content, Reply
from webapi.job_views import FileView
from webapi.media import attachment
from webapi.paging import After, Count, Limit, Skip, headers_of, window_of
from webapi.parameters import Query

HISTORY = "/api/v1/history"
ExportFormat = Literal["csv", "jsonl"]
_MEDIA_TYPES: dict[ExportFormat, str] = {"csv": "text/csv", "jsonl": "application/jsonl"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)
_LAST, _FIRST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
BYTE_ORDER_MARK = "\ufeff"
"""Without it the usual spreadsheet program takes UTF-8 for the code page of its country. For other programs there is JSONL."""
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - some programs take the wide ones for the others


def _moment(given: Any) -> Any:
    """A moment as RFC 3339 writes it, or a day; in UTC where it says no zone. A moment beyond the calendar is its end."""
    if not isinstance(given, str):
        return given
    if not _DATE.fullmatch(given):
        raise ValueError("a date and time such as 2026-11-21T10:30:00Z is wanted")
    try:
        moment = datetime.fromisoformat(given.upper().replace(" ", "T"))
    except ValueError:
        raise ValueError("there is no such moment") from None
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        return _FIRST if moment.year == 1 else _LAST


# --- what is asked ------------------------------------------------------------------------------------------------------

AccountId = Annotated[BigId, Field(description="Whose; for superusers, others have their own alone")]
LinkId = Annotated[BigId, Field(description="Of this link")]
SourceId = Annotated[UUID, Field(description="Of this source")]
Status = Annotated[Outcome, Field(description="How it ended")]
StartedBy = Annotated[Origin, Field(description="What asked for it")]
Search = Annotated[str, Field(max_length=200, description="Words that all occur in the title, the address or the link's name")]
Since = Annotated[datetime, BeforeValidator(_moment), Field(description="That ended at this moment or later")]
Until = Annotated[datetime, BeforeValidator(_moment), Field(description="That ended before this moment")]


# --- what is shown ------------------------------------------------------------------------------------------------------


class HistoryView(BaseModel):
    """A finished run: a job, or a list with its items. `timestamp` is when it ended, `duration` is in seconds."""

    id: int
    link_id: int | None
    link_name: str | None = Field(description="As it was called then")
    timestamp: datetime
    status: Outcome
    message: str
    downloaded_files: list[str]
    job_id: UUID
    account_id: int | None
    source_id: UUID | None
    origin: Origin
    title: str | None
    url: str
    code: str | None
    started_at: datetime | None
    duration: float | None
    items: int = Field(description="How many items it had: 1 where it was no list")
    items_done: int
    items_failed: int


class HistoryDetail(HistoryView):
    """A finished run, with links to those of its files that are still there."""

    files: list[FileView]


def _fields(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "link_id": entry.link_id,
        "link_name": entry.link_name,
        "timestamp": entry.ended_at,
        "status": entry.outcome,
        "message": entry.message,
        "downloaded_files": list(entry.files),
        "job_id": entry.job_id,
        "account_id": entry.account_id,
        "source_id": entry.source_id,
        "origin": entry.origin,
        "title": entry.title,
        "url": entry.url,
        "code": entry.code,
        "started_at": entry.started_at,
        "duration": None if entry.started_at is None else round((entry.ended_at - entry.started_at).total_seconds(), 3),
        "items": entry.items,
        "items_done": entry.items_done,
        "items_failed": entry.items_failed,
    }


# --- files of it --------------------------------------------------------------------------------------------------------


def _jsonl(entries: Iterable[HistoryEntry]) -> str:
    return "".join(f"{HistoryView(**_fields(entry)).model_dump_json()}\n" for entry in entries)


def _csv(entries: Iterable[HistoryEntry]) -> str:
    """Lines of RFC 4180; several files of one entry stand on lines of their own within the cell."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    for entry in entries:
        told = HistoryView(**_fields(entry)).model_dump(mode="json")
        writer.writerow([_cell(told[name]) for name in HistoryView.model_fields])
    return lines.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front: a title is a stranger's text."""
    text = "\n".join(value) if isinstance(value, list) else value
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text


_HEAD: dict[ExportFormat, str] = {"csv": BYTE_ORDER_MARK + ",".join(HistoryView.model_fields) + "\r\n", "jsonl": ""}
_WRITTEN: dict[ExportFormat, Callable[[Sequence[HistoryEntry]], str]] = {"csv": _csv, "jsonl": _jsonl}


# --- the endpoints ------------------------------------------------------------------------------------------------------


class HistoryEndpoints:
    """Everybody's is for superusers, else one's own."""

    def __init__(self, *, histories: Histories, addresses: Addresses, clock: Clock) -> None:
        self._histories, self._addresses, self._clock = histories, addresses, clock

    def register(self, api: Api) -> None:
        tags = ["History"]
        # One of these two media types, as `format` says.
        api.route("GET", f"{HISTORY}/export", access=ACCOUNTS, tags=tags, answers={200: Content("*/*")})(self.export_history)
        api.route("GET", f"{HISTORY}/", access=ACCOUNTS, tags=tags, answers={200: list[HistoryView]})(self.list_history)
        api.route("GET", f"{HISTORY}/{{history_id}}", access=OWNERS, tags=tags, faults=[HistoryEntryNotFound])(self.get_history_entry)

    async def list_history(
        self,
        *,
        request: web.Request,
        caller: Caller,
        link_id: LinkId | None = None,
        status: Status | None = None,
        source_id: SourceId | None = None,
        origin: StartedBy | None = None,
        account_id: AccountId | None = None,
        q: Search | None = None,
        since: Since | None = None,
        until: Until | None = None,
        skip: Annotated[Skip, Query()] = 0,
        limit: Annotated[Limit, Query()] = 100,
        after: Annotated[After | None, Query()] = None,
        count: Annotated[Count | None, Query()] = None,
    ) -> Reply:
        """Finished downloads, newest first: one's own; superusers see all."""
        wanted = _filter(link_id, status, source_id, origin, account_id, q, since, until)
        page = await self._histories.find(caller.actor, wanted, window_of(skip, limit, after, count))
        shown = [HistoryView(**_fields(entry)) for entry in page.entries]
        return Reply(shown, headers=headers_of(request, page, limit))

    async def export_history(
        self,
        *,
        request: web.Request,
        caller: Caller,
        format: Annotated[ExportFormat, Query()] = "csv",  # noqa: A002 - its name on the wire
        link_id: LinkId | None = None,
        status: Status | None = None,
        source_id: SourceId | None = None,
        origin: StartedBy | None = None,
        account_id: AccountId | None = None,
        q: Search | None = None,
        since: Since | None = None,
        until: Until | None = None,
    ) -> web.StreamResponse:
        """Finished downloads as a file, newest first: CSV for spreadsheets (`text/csv`), or a JSON object a line (`application/jsonl`).

        In the CSV, text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break)
        has an apostrophe in front, and a byte order mark comes first.
        """
        wanted = _filter(link_id, status, source_id, origin, account_id, q, since, until)
        name = f"magpie-history-{self._clock.now():%Y%m%d-%H%M%S}.{format}"
        response = web.StreamResponse(headers={"Content-Disposition": attachment(name), "Cache-Control": "no-store"})
        response.content_type, response.charset = _MEDIA_TYPES[format], "utf-8"
        await response.prepare(request)
        if request.method != "HEAD":
            await response.write(_HEAD[format].encode())
            async for entries in self._histories.export(caller.actor, wanted):
                await response.write(_WRITTEN[format](entries).encode())
        await response.write_eof()
        return response

    async def get_history_entry(self, request: web.Request, caller: Caller, history_id: BigId) -> HistoryDetail:
        """One of them, with links to those of its files that are still there."""
        state = await self._histories.get(caller.actor, history_id)
        session = state.session
        files = [_file(file, self._addresses.media(request, session, file)) for file in state.files] if session else []
        return HistoryDetail(**_fields(state.entry), files=files)


def _filter(  # noqa: PLR0917 - in the order of both signatures
    link_id: int | None,
    status: Outcome | None,
    source_id: UUID | None,
    origin: Origin | None,
    account_id: int | None,
    q: str | None,
    since: datetime | None,
    until: datetime | None,
) -> HistoryFilter:
    return HistoryFilter(
        link_id=link_id,
        outcomes=frozenset({status} if status else ()),
        source_id=source_id,
        origin=origin,
        account_id=account_id,
        words=tuple((q or "").split()),
        since=since,
        until=until,
    )


def _file(file: JobFile, url: str) -> FileView:
    return FileView(name=file.name, kind=file.media.kind.folder, size=file.media.size, path=file.path, url=url)
