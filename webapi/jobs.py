"""`/api/jobs/…`: downloads as jobs, asked for, looked at, ended and deleted."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.downloads import Downloads, Order, Promise
from service.errors import (
    AddressNotAllowed,
    Conflict,
    DownloadSessionNotFound,
    HostNotAllowed,
    IdempotencyConflict,
    InvalidSelection,
    InvalidUrl,
    JobNotFound,
    JobNotLive,
    JobNotRetryable,
    LimitReached,
    LinkExpired,
    LinkInvalid,
    SecretNeeded,
    SessionJobsReached,
)
from service.job_pages import JobFilter, JobState, SeenJobs
from service.media_url import MediaUrl
from service.model import DownloadSession, JobStatus, Origin
from service.opened_sessions import OpenedSessions, Viewer
from service.selection import MediaType, Selection
from service.signed_links import STATUS, SignedLinks
from service.webhooks import OwnWebhooks
from webapi.addresses import status_path
from webapi.auth import Caller, CallerKind
from webapi.contract import ALLOWED, OWNERS, Access, Api, Reply
from webapi.job_views import JobView, JobViews, PathsView
from webapi.opened_sessions import ShownSession, session_id_in, viewer_of
from webapi.paging import After, Count, Limit, Skip, headers_of, window_of
from webapi.parameters import Header, Query
from webapi.problems import FieldError, invalid, not_authenticated

MAX_BATCH = 100
MAX_KEY = 255
THEIRS = replace(OWNERS, session=True)
"""Whoever has an account, for their own jobs; whoever shows a session, for its jobs."""


class JobRequest(BaseModel):
    """What to download: one address, or several (`urls`) that become a job each."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["urls"]}]})

    url: Annotated[str, Field(min_length=1, max_length=4096, json_schema_extra={"format": "uri"})] | None = None
    urls: Annotated[list[Annotated[str, Field(min_length=1, max_length=4096)]], Field(min_length=1, max_length=MAX_BATCH)] | None = None
    media_type: Literal["video", "audio", "transcript"] = "video"
    quality: Annotated[str, Field(max_length=40)] | None = None
    output_format: Annotated[str, Field(max_length=40)] | None = None
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = Field(
        None, description="Of a transcript; without one, the first that there is"
    )
    refresh: bool = Field(default=False, description="true: fetch again even when the file is in the store")
    callback_url: Annotated[str, Field(min_length=1, max_length=4096, json_schema_extra={"format": "uri"})] | None = Field(
        None, description="Is told when the job has ended; needs an account with a webhook secret"
    )
    max_items: Annotated[int, Field(ge=1, le=5000)] | None = Field(
        None, description="Of a playlist, which becomes a job with a child an item"
    )

    @model_validator(mode="after")
    def _one_or_several(self) -> JobRequest:
        if (self.url is None) == (self.urls is None):
            raise ValueError("give either url or urls")
        return self


class JobsView(BaseModel):
    """The jobs of one request, in its order."""

    jobs: list[JobView]


class JobsEndpoints:
    """`hosts` are those that callers without an account may download from; `max_items` is the most of a list that is taken."""

    def __init__(
        self,
        *,
        downloads: Downloads,
        jobs: SeenJobs,
        sessions: OpenedSessions,
        views: JobViews,
        links: SignedLinks,
        hosts: frozenset[str],
        anonymous: bool,
        max_items: int,
        webhooks: OwnWebhooks,
    ) -> None:
        self._downloads, self._jobs, self._sessions, self._views, self._links = downloads, jobs, sessions, views, links
        self._hosts, self._anonymous, self._max_items, self._webhooks = hosts, anonymous, max_items, webhooks

    def register(self, api: Api) -> None:
        asks = Access(anonymous=401, local=ALLOWED, owner=ALLOWED, other=ALLOWED, superuser=ALLOWED, session=True)
        refused = [
            AddressNotAllowed,
            HostNotAllowed,
            InvalidSelection,
            DownloadSessionNotFound,
            IdempotencyConflict,
            SessionJobsReached,
            SecretNeeded,
        ]
        tags = ["Jobs"]
        api.route(
            "POST", "/api/jobs/", access=asks, tags=tags, status=201, faults=refused, answers={201: JobView | JobsView, 200: JobView}
        )(self.create_job)
        api.route("GET", "/api/jobs/", access=asks, tags=tags, answers={200: list[JobView]}, faults=[DownloadSessionNotFound])(
            self.list_jobs
        )
        looks = replace(THEIRS, signed=True)
        api.route("GET", "/api/jobs/{job_id}", access=looks, tags=tags, faults=[JobNotFound, LinkInvalid, LinkExpired])(self.get_job)
        api.route("GET", "/api/jobs/{job_id}/paths", access=THEIRS, tags=tags, faults=[JobNotFound])(self.get_paths)
        api.route("POST", "/api/jobs/{job_id}/cancel", access=THEIRS, tags=tags, faults=[JobNotFound, JobNotLive])(self.cancel_job)
        api.route(
            "POST",
            "/api/jobs/{job_id}/retry",
            access=THEIRS,
            tags=tags,
            status=202,
            faults=[JobNotFound, JobNotRetryable, Conflict, LimitReached],
        )(self.retry_job)
        api.route("DELETE", "/api/jobs/{job_id}", access=THEIRS, tags=tags, faults=[JobNotFound])(self.delete_job)

    # --- asking -----------------------------------------------------------------------------------------------------

    async def create_job(
        self,
        request: web.Request,
        caller: Caller,
        wanted: JobRequest,
        session: ShownSession = None,
        idempotency_key: Annotated[str | None, Header("Idempotency-Key")] = None,
    ) -> Reply:
        """Download something.

        In the download session that `X-Session-ID` names; without one, in a session of its own. What is in the store already
        comes back completed. A playlist becomes a job with a child an item. The same request of one session that is under way
        already is answered with that job and 200. Of several addresses all are accepted or none.
        """
        opened = await self._session_of(caller, session)
        callback = await self._callback(caller, wanted.callback_url)
        if callback is not None and opened is not None and opened.owner_id is None:
            raise SecretNeeded("A session that nobody owns has no callbacks: claim it first.")
        orders = [replace(order, callback_url=callback) for order in self._orders(caller, wanted, opened)]
        accepted = await self._downloads.submit_all(orders, _promise(caller, opened.id if opened else None, idempotency_key, wanted))
        states = await self._jobs.states([job for job, _ in accepted])
        usual = await self._jobs.usual_time()
        viewer = Viewer(actor=caller.actor, shown=opened.id if opened else None)
        shown = [self._views.of(request, state, viewer, usual=usual) for state in states]
        if wanted.urls is not None:
            return Reply(JobsView(jobs=shown), status=201 if any(new for _, new in accepted) else 200)
        return Reply(shown[0], status=201 if accepted[0][1] else 200)

    async def _session_of(self, caller: Caller, text: str | None) -> DownloadSession | None:
        """Raises `DownloadSessionNotFound`; `Refused` for somebody unknown where only those who are known may download."""
        if caller.kind is CallerKind.ANONYMOUS and not (self._anonymous and text):
            raise not_authenticated()
        if text is None:
            return None
        opened = await self._sessions.for_jobs(caller.actor, session_id_in(text))
        if opened is None:
            raise DownloadSessionNotFound
        return opened

    async def _callback(self, caller: Caller, text: str | None) -> MediaUrl | None:
        """Raises `SecretNeeded`, `AddressNotAllowed`; `Refused` for an address that is none."""
        if text is None:
            return None
        try:
            url = MediaUrl.parse(text)
        except InvalidUrl as wrong:
            raise invalid([{"loc": ["body", "callback_url"], "msg": wrong.message, "type": wrong.code}]) from None
        await self._webhooks.check_callback(caller.account, url)
        return url

    def _orders(self, caller: Caller, wanted: JobRequest, opened: DownloadSession | None) -> list[Order]:
        """Raises `InvalidSelection`, `HostNotAllowed`; `Refused` for an address that is none."""
        selection = _selection(wanted)
        own = caller.account_id if caller.account is not None else None
        order = Order(
            url=MediaUrl(text="", host=""),
            selection=selection,
            origin=Origin.API,
            account_id=opened.owner_id if opened else own,
            payer_id=own,
            address=caller.address,
            is_local=caller.is_local,
            download_session_id=opened.id if opened else None,
            session_is_unowned=opened is not None and opened.owner_id is None,
            max_items=min(wanted.max_items or self._max_items, self._max_items),
            refresh=wanted.refresh,
        )
        return [replace(order, url=url) for url in self._urls(caller, wanted)]

    def _urls(self, caller: Caller, wanted: JobRequest) -> list[MediaUrl]:
        texts, urls, errors = wanted.urls or [wanted.url or ""], [], []
        for number, text in enumerate(texts):
            try:
                url = MediaUrl.parse(text)
            except InvalidUrl as wrong:
                where = ["body", "urls", number] if wanted.urls is not None else ["body", "url"]
                errors.append(FieldError(loc=where, msg=wrong.message, type=wrong.code))
                continue
            if caller.kind is CallerKind.ANONYMOUS and not url.is_on(self._hosts):
                raise HostNotAllowed("Only YouTube URLs are supported")
            urls.append(url)
        if errors:
            raise invalid(errors)
        return urls

    # --- looking ----------------------------------------------------------------------------------------------------

    async def list_jobs(
        self,
        *,
        request: web.Request,
        caller: Caller,
        session: ShownSession = None,
        status: Annotated[JobStatus | None, Query()] = None,
        media_type: Annotated[MediaType | None, Query()] = None,
        session_uuid: Annotated[str | None, Query()] = None,
        parent_uuid: Annotated[str | None, Query()] = None,
        skip: Annotated[Skip, Query()] = 0,
        limit: Annotated[Limit, Query()] = 100,
        after: Annotated[After | None, Query()] = None,
        count: Annotated[Count | None, Query()] = None,
    ) -> Reply:
        """Jobs, newest first: those of the session that `X-Session-ID` names, or one's own; superusers see all."""
        viewer = await viewer_of(caller, session, self._sessions)
        wanted = JobFilter(
            status=status,
            media_type=media_type,
            session=viewer.named,
            also_session=session_id_in(session_uuid) if session_uuid else None,
            parent_id=job_id_in(parent_uuid) if parent_uuid else None,
        )
        page = await self._jobs.page(viewer, wanted, window_of(skip, limit, after, count))
        usual = await self._jobs.usual_time() if any(state.ahead is not None for state in page.entries) else None
        shown = [self._views.of(request, state, viewer, usual=usual) for state in page.entries]
        return Reply(shown, headers=headers_of(request, page, limit))

    async def get_job(
        self,
        *,
        request: web.Request,
        caller: Caller,
        job_id: str,
        session: ShownSession = None,
        expiry: Annotated[str | None, Query("e")] = None,
        signature: Annotated[str | None, Query("s")] = None,
    ) -> JobView:
        """How a job is doing, and its files once it is completed.

        For the caller whom it belongs to, for its session, or by the signed `status_url`.
        """
        known = job_id_in(job_id)
        if expiry is not None or signature is not None:
            self._links.check(status_path(known), purpose=STATUS, expiry=expiry or "", signature=signature or "")
            return await self._shown(request, await self._jobs.by_link(known))
        viewer = await viewer_of(caller, session, self._sessions)
        return await self._shown(request, await self._jobs.get(viewer, known), viewer)

    async def _shown(self, request: web.Request, state: JobState, viewer: Viewer | None = None) -> JobView:
        usual = await self._jobs.usual_time() if state.ahead is not None else None
        return self._views.of(request, state, viewer, usual=usual)

    async def get_paths(self, request: web.Request, caller: Caller, job_id: str, session: ShownSession = None) -> PathsView:
        """Where a job's files are."""
        viewer = await viewer_of(caller, session, self._sessions)
        return self._views.paths(request, await self._jobs.get(viewer, job_id_in(job_id)))

    # --- ending -----------------------------------------------------------------------------------------------------

    async def cancel_job(self, request: web.Request, caller: Caller, job_id: str, session: ShownSession = None) -> JobView:
        """End a job that waits or runs; a list ends with all its items."""
        viewer = await viewer_of(caller, session, self._sessions)
        return await self._shown(request, await self._jobs.cancel(viewer, job_id_in(job_id)), viewer)

    async def retry_job(self, request: web.Request, caller: Caller, job_id: str, session: ShownSession = None) -> JobView:
        """Try a job that failed or was cancelled again; of a list, what did not come."""
        viewer = await viewer_of(caller, session, self._sessions)
        return await self._shown(request, await self._jobs.retry(viewer, job_id_in(job_id)), viewer)

    async def delete_job(self, request: web.Request, caller: Caller, job_id: str, session: ShownSession = None) -> JobView:
        """Delete a job with its files; one that runs is ended first. The answer is what it was."""
        viewer = await viewer_of(caller, session, self._sessions)
        state = await self._jobs.delete(viewer, job_id_in(job_id))
        return self._views.of(request, replace(state, files=(), ahead=None), viewer)


def _selection(wanted: JobRequest) -> Selection:
    try:
        return Selection.of(wanted.media_type, wanted.output_format, wanted.quality, wanted.language)
    except InvalidSelection as wrong:
        field = "output_format" if wrong.field == "format" else wrong.field
        raise InvalidSelection(field, wrong.message.replace("format must", "output_format must", 1)) from None


def _promise(caller: Caller, session: UUID | None, key: str | None, wanted: JobRequest) -> Promise | None:
    """Raises `Refused` (422) for a key that nobody could type."""
    if key is None:
        return None
    if not key or len(key) > MAX_KEY or not key.isprintable():
        wrong: list[FieldError] = [
            {"loc": ["header", "Idempotency-Key"], "msg": f"It has 1 to {MAX_KEY} printable characters.", "type": "key_invalid"}
        ]
        raise invalid(wrong)
    who = f"account:{caller.account_id}" if caller.account_id is not None else f"session:{session}"
    body = hashlib.sha256(f"{session}\n{wanted.model_dump_json()}".encode("utf-8", "surrogatepass")).hexdigest()
    return Promise(caller=who[:100], key=key, body_hash=body)


def job_id_in(text: str) -> UUID:
    """Any string may stand in the path: what is no id belongs to no job."""
    try:
        return UUID(text)
    except ValueError:
        raise JobNotFound from None
