"""`/api/sessions/…`: download sessions that people open."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

from service.errors import ChatUnreachable, DownloadSessionNotFound, SessionsFull, TooManySessions
from service.opened_sessions import Opened, OpenedSessions, Tally, Viewer
from service.ports import Clock
from webapi.auth import Caller, CallerKind
from webapi.contract import ACCOUNTS, ALLOWED, OWNERS, Api, Reply
from webapi.job_views import session_name
from webapi.paging import After, Count, Limit, Skip, headers_of, window_of
from webapi.parameters import Header, Query
from webapi.server import SESSION_HEADER

ShownSession = Annotated[str | None, Header(SESSION_HEADER)]


class SessionView(BaseModel):
    """A download session. `session_uuid` is what `X-Session-ID` carries, where the one who looks knows it."""

    session_uuid: UUID
    created_at: datetime
    last_activity: datetime
    is_active: bool
    total_jobs: int
    active_jobs: int
    completed_jobs: int
    failed_jobs: int
    storage_used_bytes: int
    age_hours: float


class SessionsOverview(BaseModel):
    """The sums over all sessions that one may see."""

    total_sessions: int
    active_sessions: int
    total_jobs: int
    active_jobs: int
    completed_jobs: int
    failed_jobs: int
    storage_used_bytes: int


class OpenedSessionsEndpoints:
    """`anonymous`: callers whom nobody knows may open sessions, too."""

    def __init__(self, sessions: OpenedSessions, clock: Clock, *, anonymous: bool) -> None:
        self._sessions, self._clock, self._anonymous = sessions, clock, anonymous

    def register(self, api: Api) -> None:
        tags, lists, unknown = ["Sessions"], replace(ACCOUNTS, session=True), [DownloadSessionNotFound]
        api.route(
            "POST",
            "/api/sessions/",
            access=replace(ACCOUNTS, anonymous=ALLOWED if self._anonymous else 401),
            tags=tags,
            status=201,
            faults=[TooManySessions, SessionsFull],
        )(self.create_session)
        api.route("GET", "/api/sessions/", access=lists, tags=tags, answers={200: list[SessionView]}, faults=unknown)(self.list_sessions)
        api.route("GET", "/api/sessions/stats/overview", access=lists, tags=tags, faults=unknown)(self.sessions_overview)
        theirs = replace(OWNERS, session=True)
        api.route("GET", "/api/sessions/{session_uuid}", access=theirs, tags=tags, faults=[DownloadSessionNotFound])(self.get_session)
        api.route("DELETE", "/api/sessions/{session_uuid}", access=theirs, tags=tags, faults=[DownloadSessionNotFound, ChatUnreachable])(
            self.delete_session
        )

    async def create_session(self, caller: Caller) -> SessionView:
        """Open a download session: a folder, limits and a life of its own.

        Its id is what `X-Session-ID` carries, and opens it to whoever has it; keep it to yourself. Whoever has an account owns it.
        """
        owner = caller.account.id if caller.account is not None else None
        address = caller.address if caller.kind is CallerKind.ANONYMOUS else None
        opened = await self._sessions.open(owner_id=owner, address=address)
        return self._shown(opened, Viewer(actor=caller.actor, shown=opened.session.id))

    async def list_sessions(
        self,
        *,
        request: web.Request,
        caller: Caller,
        session: ShownSession = None,
        active: Annotated[bool | None, Query()] = True,
        skip: Annotated[Skip, Query()] = 0,
        limit: Annotated[Limit, Query()] = 100,
        after: Annotated[After | None, Query()] = None,
        count: Annotated[Count | None, Query()] = None,
    ) -> Reply:
        """Download sessions that are open, newest first: the one that `X-Session-ID` names, one's own; superusers see all."""
        viewer = await viewer_of(caller, session, self._sessions)
        page = await self._sessions.page(viewer, is_open=active, window=window_of(skip, limit, after, count))
        shown = [self._shown(one, viewer) for one in page.entries]
        return Reply(shown, headers=headers_of(request, page, limit))

    async def sessions_overview(self, caller: Caller, session: ShownSession = None) -> SessionsOverview:
        """The sums over all download sessions that one may see."""
        found = await self._sessions.overview(await viewer_of(caller, session, self._sessions))
        return SessionsOverview(total_sessions=found.sessions, active_sessions=found.open, **_counts(found.tally))

    async def get_session(self, caller: Caller, session_uuid: str, session: ShownSession = None) -> SessionView:
        """One download session."""
        known = session_id_in(session_uuid)
        viewer = await viewer_of(caller, session, self._sessions)
        return self._shown(await self._sessions.get(viewer, known), replace(viewer, shown=known))

    async def delete_session(self, caller: Caller, session_uuid: str, session: ShownSession = None) -> SessionView:
        """Delete a download session with its jobs and their files; jobs that run are ended first."""
        known = session_id_in(session_uuid)
        viewer = await viewer_of(caller, session, self._sessions)
        return self._shown(await self._sessions.delete(viewer, known), replace(viewer, shown=known), is_gone=True)

    def _shown(self, opened: Opened, viewer: Viewer, *, is_gone: bool = False) -> SessionView:
        session = opened.session
        return SessionView(
            session_uuid=session_name(session, viewer),
            created_at=session.created_at,
            last_activity=self._sessions.last_used(session),
            is_active=not is_gone and self._sessions.is_open(session),
            age_hours=round((self._clock.now() - session.created_at).total_seconds() / 3600, 2),
            **_counts(opened.tally),
        )


async def viewer_of(caller: Caller, header: str | None, sessions: OpenedSessions) -> Viewer:
    """Who looks. Raises `DownloadSessionNotFound` for a header that names nothing which the caller may see."""
    return await sessions.viewer(caller.actor, session_id_in(header)) if header is not None else Viewer(actor=caller.actor)


def session_id_in(text: str) -> UUID:
    """Any string may stand in the path: what is no id is no session's."""
    known = _uuid(text)
    if known is None:
        raise DownloadSessionNotFound
    return known


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "total_jobs": tally.jobs,
        "active_jobs": tally.live,
        "completed_jobs": tally.completed,
        "failed_jobs": tally.failed,
        "storage_used_bytes": tally.stored_bytes,
    }
