"""`POST /audio_dl/api/auto-download/`: an address in, a link to the finished file out."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field

from service.accounts import Accounts
from service.downloads import Downloads, Order, Promise
from service.errors import (
    AccountNotFound,
    AddressNotAllowed,
    HostNotAllowed,
    IdempotencyConflict,
    InvalidInput,
    InvalidSelection,
    InvalidUrl,
    LimitReached,
    MediaNotFound,
    Stopping,
)
from service.health import ServiceState
from service.media_url import MediaUrl
from service.model import LOCAL_ACCOUNT, Account, DownloadSession, Job, JobStatus, Origin
from service.selection import MediaType, Selection
from webapi.addresses import Addresses
from webapi.auth import Caller
from webapi.contract import ACCOUNTS, ALLOWED, Api, Reply
from webapi.media import media_path
from webapi.parameters import Header, Raw
from webapi.problems import ErrorShape, Problem

log = logging.getLogger("magpie.http")
PATIENCE = timedelta(minutes=30)
MAX_BODY = 64 * 1024
MAX_KEY = 255
MAX_USERNAME = 64


class AutoDownloadRequest(BaseModel):
    """What to download. Only `url` is required."""

    url: str = Field(min_length=1, description="The address of a video", json_schema_extra={"format": "uri"})
    quality: Literal["best", "worst", "128k", "192k", "320k", "2160", "1440", "1080", "720", "480", "360"] = "best"
    format: Literal["mp3", "wav", "flac", "m4a", "opus", "mp4", "webm", "mkv"] | None = Field(
        None, description="mp3 for audio, mp4 for video"
    )
    media_type: Literal["audio", "video"] = "audio"
    username: str | None = Field(None, max_length=MAX_USERNAME, description="Whose account the download is linked to")
    wait: bool = Field(default=True, description="false: answer 202 at once instead of waiting for the file")
    refresh: bool = Field(default=False, description="true: fetch again even when the file is in the store")


class AutoDownload(BaseModel):
    """A finished download."""

    success: Literal[True] = True
    file_path: str
    download_url: str
    title: str
    artist: str | None
    file_size: int
    duration: str | None = Field(description="HH:MM:SS")
    quality: str
    format: str
    session_id: UUID
    job_id: UUID
    database_session_id: UUID
    database_download_id: UUID
    linked_to_user: str | None = Field(None, exclude_if=lambda name: name is None, description="Whose account it is linked to")


class AutoDownloadAccepted(BaseModel):
    """The download goes on; `status_url` says how, and `events_url` each time that something changes."""

    success: Literal[True] = True
    job_id: UUID
    session_id: UUID
    status_url: str
    events_url: str
    linked_to_user: str | None = Field(None, exclude_if=lambda name: name is None, description="Whose account it is linked to")


class AutoDownloadError(BaseModel):
    """Why there is no file. `code` is stable; `job_id` and `status_url` are there when a job is."""

    success: Literal[False] = False
    error: str
    code: str
    job_id: UUID | None = None
    status_url: str | None = None


class _Errors(ErrorShape):
    """Every error of this endpoint, whatever raised it."""

    def status_of(self, status: int) -> int:
        return 400 if status in {404, 422} else status

    def content(self, status: int) -> tuple[str, type[BaseModel]]:
        del status
        return "application/json", AutoDownloadError

    def body(self, problem: Problem) -> Mapping[str, Any]:
        return {"success": False, "error": problem.sentence, "code": problem.code}


class UrlMissing(InvalidInput):
    """URL is required"""

    code = "url_required"


class InvalidJson(InvalidInput):
    """Invalid JSON in request body"""

    code = "invalid_json"


class InvalidField(InvalidInput):
    """A field of the request is not valid."""

    code = "invalid_field"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request that was understood."""

    url: MediaUrl
    selection: Selection
    username: str | None
    wait: bool
    refresh: bool
    body_hash: str


def add_auto_download(
    api: Api,
    *,
    downloads: Downloads,
    accounts: Accounts,
    addresses: Addresses,
    state: ServiceState,
    hosts: frozenset[str],
    anonymous: bool,
) -> None:
    """Register the endpoint. `hosts` are those it accepts; `anonymous`: callers whom nobody knows may use it too."""
    answers = _Answers(downloads, accounts, addresses, state)

    @api.route(
        "POST",
        "/audio_dl/api/auto-download/",
        access=replace(ACCOUNTS, anonymous=ALLOWED if anonymous else 401),
        tags=["Downloads"],
        errors=_Errors(),
        max_size=MAX_BODY,
        answers={200: AutoDownload, 202: AutoDownloadAccepted, 500: AutoDownloadError, 503: AutoDownloadError},
        faults=[HostNotAllowed, AddressNotAllowed, InvalidField, IdempotencyConflict, LimitReached],
    )
    async def auto_download(
        request: web.Request,
        caller: Caller,
        body: Annotated[bytes, Raw(model=AutoDownloadRequest)],
        prefer: Annotated[str | None, Header("Prefer")] = None,
        idempotency_key: Annotated[str | None, Header("Idempotency-Key")] = None,
    ) -> AutoDownload | Reply:
        """Download one video and wait for the file, up to 30 minutes.

        With `"wait": false` or `Prefer: respond-async` the answer is 202 at once. A client that goes away loses nothing:
        the same request again gets the file from the store.
        """
        asked = _understood(body, hosts)
        named = await _named(asked.username, accounts)
        order = Order(
            url=asked.url,
            selection=asked.selection,
            origin=Origin.API,
            account_id=_owner(caller, asked.username, named),
            payer_id=caller.account_id if caller.account is not None else None,
            address=caller.address,
            is_local=caller.is_local,
            requested_username=asked.username,
            requested_id=named.id if named else None,
            refresh=asked.refresh,
        )
        job, _ = await downloads.submit(order, _promise(caller, idempotency_key, asked))
        at_once = not asked.wait or _prefers_async(prefer)
        return await (answers.at_once if at_once else answers.at_the_end)(request, job)


async def _named(username: str | None, accounts: Accounts) -> Account | None:
    """The account of that name, if there is one."""
    if username is None:
        return None
    try:
        return await accounts.named(username)
    except AccountNotFound:
        return None


def _owner(caller: Caller, username: str | None, named: Account | None) -> int | None:
    """Whose account the download is linked to: one's own, or whose name a superuser or local trust gives."""
    if username is None:
        return caller.account_id if caller.account is not None else None
    if named is not None and named.id != LOCAL_ACCOUNT and caller.owns(named.id):
        return named.id
    log.warning("a download is not linked to the user that it names")
    return None


class _Answers:
    """What a request that waits is answered in the end."""

    def __init__(self, downloads: Downloads, accounts: Accounts, addresses: Addresses, state: ServiceState) -> None:
        self._downloads, self._accounts = downloads, accounts
        self._addresses, self._state = addresses, state

    async def at_once(self, request: web.Request, job: Job) -> Reply:
        session = await self._downloads.session_of(job)
        accepted = AutoDownloadAccepted(
            job_id=job.id,
            session_id=session.folder,
            status_url=self._addresses.status(request, job.id),
            events_url=self._addresses.events(request, job.id),
            linked_to_user=await self._owner_of(session),
        )
        return Reply(accepted, status=202)

    async def _owner_of(self, session: DownloadSession) -> str | None:
        if session.owner_id is None:
            return None
        try:
            return (await self._accounts.get(session.owner_id)).username
        except AccountNotFound:
            return None

    async def at_the_end(self, request: web.Request, job: Job) -> AutoDownload | Reply:
        job = await self._wait(job)
        match job.status:
            case JobStatus.COMPLETED:
                return await self._finished(request, job)
            case JobStatus.FAILED:
                return self._failed(request, job, job.error_message or "Download failed", job.error_code or "download_failed")
            case JobStatus.CANCELLED:
                return self._failed(request, job, "The download was cancelled.", "cancelled")
            case _ if self._state.is_stopping:
                return self._failed(request, job, Stopping().message, Stopping.code, status=503)
            case _:
                return self._failed(request, job, "The download takes longer than 30 minutes and goes on.", "still_running")

    async def _wait(self, job: Job) -> Job:
        """Until the job ends, patience ends, or the service stops."""
        if not job.status.is_live:
            return job
        tasks = asyncio.ensure_future(self._downloads.wait(job.id, PATIENCE)), asyncio.ensure_future(self._state.until_let_go())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return tasks[0].result() if tasks[0].done() else await self._downloads.get(job.id)
        finally:
            for task in tasks:
                task.cancel()

    async def _finished(self, request: web.Request, job: Job) -> AutoDownload | Reply:
        files = await self._downloads.files(job)
        if not files:
            return self._failed(request, job, "The file was deleted meanwhile.", MediaNotFound.code)
        session, file = await self._downloads.session_of(job), files[0]
        return AutoDownload(
            file_path=media_path(session.folder, job.id, file.name),
            download_url=self._addresses.media(request, session, file),
            title=file.media.title,
            artist=file.media.artist,
            file_size=file.media.size,
            duration=_clock(file.media.duration),
            quality=job.selection.quality,
            format=job.selection.format,
            session_id=session.folder,
            job_id=job.id,
            database_session_id=session.folder,
            database_download_id=job.id,
            linked_to_user=await self._owner_of(session),
        )

    def _failed(self, request: web.Request, job: Job, sentence: str, code: str, *, status: int = 500) -> Reply:
        body = AutoDownloadError(error=sentence, code=code, job_id=job.id, status_url=self._addresses.status(request, job.id))
        return Reply(body, status=status, headers={"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {})


def _clock(duration: timedelta | None) -> str | None:
    if duration is None:
        return None
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def _understood(body: bytes, hosts: frozenset[str]) -> _Asked:
    """Raises `InvalidInput` in one of its kinds; the messages are those that existing clients know."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidJson from None
    if not isinstance(given, dict):
        raise InvalidJson
    url = given.get("url")
    if not isinstance(url, str) or not url.strip():
        raise UrlMissing
    return _Asked(
        url=_allowed(url, hosts),
        selection=_selection(given),
        username=_text(given, "username", MAX_USERNAME),
        wait=_flag(given, "wait", default=True),
        refresh=_flag(given, "refresh", default=False),
        body_hash=hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest(),
    )


def _allowed(text: str, hosts: frozenset[str]) -> MediaUrl:
    try:
        url = MediaUrl.parse(text)
    except InvalidUrl:
        if "*" in hosts:
            raise
        raise HostNotAllowed("Only YouTube URLs are supported") from None
    if not url.is_on(hosts):
        raise HostNotAllowed("Only YouTube URLs are supported")
    return url


def _selection(given: dict[str, Any]) -> Selection:
    media_type = _text(given, "media_type") or MediaType.AUDIO.value
    if media_type in {MediaType.TRANSCRIPT, MediaType.PICTURE}:
        raise InvalidField("media_type must be one of: audio, video")
    try:
        return Selection.of(media_type, _text(given, "format"), _text(given, "quality"))
    except InvalidSelection as wrong:
        message = "media_type must be one of: audio, video" if wrong.field == "media_type" else wrong.message
        raise InvalidField(message) from None


def _text(given: dict[str, Any], name: str, longest: int = 40) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest or "\0" in value or not value.isprintable():
        raise InvalidField(f"{name} must be a text of at most {longest} characters")
    return value or None


def _flag(given: dict[str, Any], name: str, *, default: bool) -> bool:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidField(f"{name} must be true or false")
    return value


def _promise(caller: Caller, key: str | None, asked: _Asked) -> Promise | None:
    if key is None:
        return None
    if not key or len(key) > MAX_KEY or not key.isprintable():
        raise InvalidField(f"Idempotency-Key must have 1 to {MAX_KEY} printable characters")
    who = f"account:{caller.account_id}" if caller.account_id is not None else f"address:{caller.address}"
    return Promise(caller=who, key=key, body_hash=asked.body_hash)


def _prefers_async(prefer: str | None) -> bool:
    return any(part.strip().lower() == "respond-async" for part in (prefer or "").split(","))
