"""Live news of jobs: server-sent events and WebSocket."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp_sse import EventSourceResponse, sse_response
from pydantic import BaseModel, TypeAdapter

from service.errors import DownloadSessionNotFound, InvalidInput, JobNotFound, LinkExpired, LinkInvalid
from service.health import ServiceState
from service.job_pages import JobFilter, SeenJobs
from service.model import STATUS_STEP, Job, JobStatus
from service.opened_sessions import OpenedSessions, Viewer
from service.paging import Window
from service.ports import Clock
from service.signed_links import EVENTS, SignedLinks
from service.watching import Reader, Watched, Watching
from webapi.addresses import events_path
from webapi.auth import Caller
from webapi.contract import OWNERS, Api, Content
from webapi.job_views import phase_of
from webapi.jobs import THEIRS, job_id_in
from webapi.opened_sessions import ShownSession, viewer_of
from webapi.parameters import Header, Query

HEARTBEAT: Final = timedelta(seconds=15)
PATIENCE: Final = timedelta(seconds=20)
"""With a reader that does not take what it is sent."""
LIFE: Final = timedelta(hours=1)
"""Of a stream: who comes again is asked again who they are."""
RETRY_MS: Final = 2000
LATEST: Final = 500
"""Jobs of which a caller's stream tells at its beginning."""
OVERLAP: Final = timedelta(seconds=30)
"""More than `PATIENCE`: what a reader that was cut off did not get is told again."""
MAX_GARBAGE: Final = 4096
_KNOWN: Final = 1000


class JobEvent(BaseModel):
    """A change of a job. Sizes in bytes, `speed` in bytes a second, `eta` in seconds. `GET /api/jobs/{id}` has the files."""

    job_uuid: UUID
    parent_uuid: UUID | None
    seq: int
    status: str
    phase: str
    title: str | None
    progress_percent: float | None
    downloaded_bytes: int | None
    total_bytes: int | None
    items_done: int | None
    items_total: int | None
    speed: float | None
    eta: float | None
    error_message: str | None
    code: str | None


class Rendered:
    """Each change is rendered once, however many read it."""

    def __init__(self) -> None:
        self._adapter = TypeAdapter(JobEvent)
        self._known: OrderedDict[tuple[UUID, int], str] = OrderedDict()

    def of(self, job: Job) -> str:
        key = (job.id, job.seq)
        if (text := self._known.get(key)) is None:
            text = self._known[key] = self._adapter.dump_json(_event(job)).decode()
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return text


def _name(job: Job) -> str:
    return "progress" if job.status.is_live else "end"


def _event(job: Job) -> JobEvent:
    running = job.status is JobStatus.PROCESSING
    return JobEvent(
        job_uuid=job.id,
        parent_uuid=job.parent_id,
        seq=job.seq,
        status=job.status,
        phase=phase_of(job),
        title=job.title,
        progress_percent=job.progress.percent,
        downloaded_bytes=None if job.is_list else job.progress.downloaded,
        total_bytes=None if job.is_list else job.progress.total,
        items_done=job.progress.downloaded if job.is_list else None,
        items_total=job.progress.total if job.is_list else None,
        speed=job.progress.speed if running else None,
        eta=job.progress.eta if running else None,
        error_message=job.error_message,
        code=job.error_code,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """One event on the wire. `name` is `progress`, or `end` when the job has ended."""

    id: str
    name: str
    data: str


class JobEventsEndpoints:
    """A stream ends when its job does, when the service stops, or when its reader is too slow."""

    def __init__(
        self,
        *,
        jobs: SeenJobs,
        sessions: OpenedSessions,
        watching: Watching,
        links: SignedLinks,
        state: ServiceState,
        clock: Clock,
        heartbeat: timedelta = HEARTBEAT,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._jobs, self._sessions, self._watching, self._links = jobs, sessions, watching, links
        self._state, self._clock, self._rendered = state, clock, Rendered()
        self._heartbeat, self._patience = heartbeat.total_seconds(), patience.total_seconds()

    def register(self, api: Api) -> None:
        stream, tags = {200: Content("text/event-stream"), 204: None}, ["Events"]
        looks, faults = replace(THEIRS, signed=True), [JobNotFound, LinkInvalid, LinkExpired]
        api.route("GET", "/api/jobs/{job_id}/events", access=looks, tags=tags, answers=stream, faults=faults)(self.job_events)
        plain = [*faults, InvalidInput]
        api.route("GET", "/api/jobs/{job_id}/ws", access=looks, tags=tags, answers={101: None}, faults=plain)(self.job_socket)
        own, wrong = replace(OWNERS, session=True, other="allowed"), [DownloadSessionNotFound]
        api.route("GET", "/api/events", access=own, tags=tags, answers=stream, faults=wrong)(self.events)
        api.route("GET", "/api/events/ws", access=own, tags=tags, answers={101: None}, faults=[*wrong, InvalidInput])(self.events_socket)

    # --- one job ----------------------------------------------------------------------------------------------------

    async def job_events(
        self,
        *,
        request: web.Request,
        caller: Caller,
        job_id: str,
        session: ShownSession = None,
        last_event_id: Annotated[str | None, Header("Last-Event-ID")] = None,
        expiry: Annotated[str | None, Query("e")] = None,
        signature: Annotated[str | None, Query("s")] = None,
    ) -> web.StreamResponse:
        """Follow a job by server-sent events.

        First its present state, then every change; progress may be skipped, a change of status and the end never. The event's
        id is the job's `seq`: who comes again with `Last-Event-ID` is told what is newer. The stream ends with the job; asked
        again after that, the answer is 204.
        """
        known = await self._allowed(caller, job_id, session, expiry, signature)
        async with self._joined(Watched(job_id=known)) as reader:
            job = (await self._jobs.by_link(known)).job
            seen = _seen_of(job, last_event_id)
            if not job.status.is_live and seen >= job.seq:
                return web.Response(status=204)
            if request.method == "HEAD":
                return web.Response(content_type="text/event-stream")
            return await self._stream(request, reader, self._of_job(reader, job, seen))

    async def _of_job(self, reader: Reader, job: Job, seen: int) -> AsyncIterator[_Sent]:
        """Until the end of the job. What its items do is told as well, under their own ids."""
        seqs = {job.id: seen}
        waiting = [job]
        while True:
            for one in waiting:
                if one.seq > seqs.get(one.id, 0):
                    seqs[one.id] = one.seq
                    yield _Sent(id=str(seqs[job.id]), name=_name(one) if one.id == job.id else "item", data=self._rendered.of(one))
                if one.id == job.id and not one.status.is_live:
                    return
            if not await reader.more():
                return
            waiting = reader.take()

    async def job_socket(
        self,
        *,
        request: web.Request,
        caller: Caller,
        job_id: str,
        session: ShownSession = None,
        last_event_id: Annotated[str | None, Query()] = None,
        expiry: Annotated[str | None, Query("e")] = None,
        signature: Annotated[str | None, Query("s")] = None,
    ) -> web.StreamResponse:
        """Follow a job by WebSocket: the same events, each a text with JSON.

        The signature of `events_url` opens it, too. `last_event_id` is the last `seq` that was seen. Nothing needs to be sent;
        what is sent nevertheless ends it with 1003.
        """
        known = await self._allowed(caller, job_id, session, expiry, signature)

        async def begin(reader: Reader) -> AsyncIterator[_Sent]:
            job = (await self._jobs.by_link(known)).job
            return self._of_job(reader, job, _seen_of(job, last_event_id))

        return await self._socket(request, Watched(job_id=known), begin)

    async def _socket(
        self, request: web.Request, watched: Watched, begin: Callable[[Reader], Awaitable[AsyncIterator[_Sent]]]
    ) -> web.WebSocketResponse:
        """Until there is nothing more to tell, or the other side says or does something. Raises `InvalidInput` for a plain request."""
        socket = web.WebSocketResponse(heartbeat=self._heartbeat, max_msg_size=MAX_GARBAGE, compress=False)
        if not socket.can_prepare(request).ok:
            raise InvalidInput("This address is for WebSocket.")
        async with self._joined(watched) as reader:
            events = await begin(reader)
            await socket.prepare(request)
            told = asyncio.ensure_future(self._tell(request, socket, events))
            heard = asyncio.ensure_future(self._hear(socket))
            await asyncio.wait({told, heard}, return_when=asyncio.FIRST_COMPLETED)
            code = heard.result() if heard.done() else WSCloseCode.GOING_AWAY if self._state.is_stopping else WSCloseCode.OK
            for task in (told, heard):
                task.cancel()
            await asyncio.gather(told, heard, return_exceptions=True)
            with suppress(ConnectionError):
                await socket.close(code=code)
        return socket

    async def _tell(self, request: web.Request, socket: web.WebSocketResponse, events: AsyncIterator[_Sent]) -> None:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(LIFE.total_seconds()):
                async for event in events:
                    await self._send(request, socket, event)

    async def _send(self, request: web.Request, socket: web.WebSocketResponse, event: _Sent) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await socket.send_str(event.data)
        except TimeoutError:
            # Who does not read does not read a farewell either.
            if request.transport is not None:
                request.transport.abort()
            raise

    async def _hear(self, socket: web.WebSocketResponse) -> int:
        """Until the other side leaves, or says something: the code to close with."""
        message = await socket.receive()
        garbage = {WSMsgType.TEXT, WSMsgType.BINARY}
        return WSCloseCode.UNSUPPORTED_DATA if message.type in garbage else WSCloseCode.OK

    async def _allowed(self, caller: Caller, job_id: str, session: str | None, expiry: str | None, signature: str | None) -> UUID:
        """Raises `JobNotFound`, `LinkInvalid`, `LinkExpired`."""
        known = job_id_in(job_id)
        if expiry is not None or signature is not None:
            self._links.check(events_path(known), purpose=EVENTS, expiry=expiry or "", signature=signature or "")
            return known
        await self._jobs.get(await viewer_of(caller, session, self._sessions), known)
        return known

    # --- all of a caller --------------------------------------------------------------------------------------------

    async def events(
        self,
        *,
        request: web.Request,
        caller: Caller,
        session: ShownSession = None,
        last_event_id: Annotated[str | None, Header("Last-Event-ID")] = None,
    ) -> web.StreamResponse:
        """Follow all of one's jobs by server-sent events.

        First those that are under way (and, with `Last-Event-ID`, those that ended since), then every change. A job may be told
        of twice; its `seq` says whether that is news.
        """
        viewer = await viewer_of(caller, session, self._sessions)
        if request.method == "HEAD":
            return web.Response(content_type="text/event-stream")
        async with self._joined(Watched(viewer=viewer)) as reader:
            return await self._stream(request, reader, self._of_viewer(reader, await self._at_first(viewer, last_event_id)))

    async def events_socket(
        self, *, request: web.Request, caller: Caller, session: ShownSession = None, last_event_id: Annotated[str | None, Query()] = None
    ) -> web.StreamResponse:
        """Follow all of one's jobs by WebSocket: the same events, each a text with JSON.

        `last_event_id` is when the last one came, in milliseconds since 1970. What is sent to it ends it with 1003.
        """
        viewer = await viewer_of(caller, session, self._sessions)

        async def begin(reader: Reader) -> AsyncIterator[_Sent]:
            return self._of_viewer(reader, await self._at_first(viewer, last_event_id))

        return await self._socket(request, Watched(viewer=viewer), begin)

    async def _at_first(self, viewer: Viewer, last_event_id: str | None) -> list[Job]:
        found: list[Job] = []
        for status in (JobStatus.PENDING, JobStatus.PROCESSING):
            page = await self._jobs.page(viewer, JobFilter(status=status, session=viewer.named), Window(limit=LATEST))
            found += [state.job for state in page.entries]
        if (since := _moment_in(last_event_id)) is not None:
            found += await self._jobs.ended_since(viewer, since - OVERLAP)
        return found

    async def _of_viewer(self, reader: Reader, waiting: list[Job]) -> AsyncIterator[_Sent]:
        seqs: OrderedDict[UUID, int] = OrderedDict()
        while True:
            for one in waiting:
                if one.seq <= seqs.get(one.id, 0):
                    continue
                seqs[one.id] = one.seq
                seqs.move_to_end(one.id)
                if len(seqs) > _KNOWN:
                    seqs.popitem(last=False)
                at = round(self._clock.now().timestamp() * 1000)
                yield _Sent(id=str(at), name=_name(one), data=self._rendered.of(one))
            if not await reader.more():
                return
            waiting = reader.take()

    # --- parts ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _joined(self, watched: Watched) -> AsyncIterator[Reader]:
        """Before the first look: nothing may happen in between."""
        reader = self._watching.join(watched)
        try:
            yield reader
        finally:
            self._watching.leave(reader)

    async def _stream(self, request: web.Request, reader: Reader, events: AsyncIterator[_Sent]) -> web.StreamResponse:
        async with sse_response(request, sep="\n", ping_interval=self._heartbeat, send_timeout=self._patience) as response:
            response.force_close()
            gone = asyncio.ensure_future(_until_gone(response, reader))
            try:
                with suppress(ConnectionError, TimeoutError):
                    async with asyncio.timeout(LIFE.total_seconds()):
                        async for event in events:
                            await response.send(event.data, id=event.id, event=event.name, retry=RETRY_MS)
            finally:
                gone.cancel()
        return response


async def _until_gone(response: EventSourceResponse, reader: Reader) -> None:
    """A reader that left is noticed at the next heartbeat, also when nothing happens on its jobs."""
    await response.wait()
    reader.dismiss()


def _seen_of(job: Job, text: str | None) -> int:
    """What is too high for a number of this job is another stream's: then everything is news."""
    seen = _seq_in(text)
    return seen if seen <= job.seq + STATUS_STEP else 0


def _seq_in(text: str | None) -> int:
    """0 for what is no number of ours: then everything is news."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else 0  # noqa: PLR2004 - longer than any


def _moment_in(text: str | None) -> datetime | None:
    """None for what is no time of ours."""
    milliseconds = _seq_in(text)
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    except (ValueError, OverflowError, OSError):
        return None
