"""`/api/unlinked-sessions/` and `/api/link-session/`: download sessions that nobody owns yet."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from service.accounts import Accounts
from service.download_sessions import DownloadSessions, Unowned
from service.errors import DownloadSessionNotFound
from service.model import LOCAL_ACCOUNT
from webapi.accounts import Limit, Skip
from webapi.auth import Caller
from webapi.contract import ACCOUNTS, OWNERS, Api, Reply
from webapi.parameters import Header, Query


class UnlinkedSession(BaseModel):
    """A download session without an owner."""

    session_id: UUID
    session_uuid: UUID
    database_session_id: UUID
    created_at: datetime
    last_activity: datetime
    requested_username: str | None = Field(description="Whom the request named")
    total_jobs: int
    title: str | None


class LinkSession(BaseModel):
    """Which session to link to whoever asks."""

    session_id: Annotated[str, Field(min_length=1, max_length=100)]


class LinkedSession(BaseModel):
    """Whose it is now."""

    success: Literal[True] = True
    session_id: UUID
    linked_to_user: str


class DownloadSessionsEndpoints:
    """One can link what one can see."""

    def __init__(self, sessions: DownloadSessions, accounts: Accounts) -> None:
        self._sessions, self._accounts = sessions, accounts

    def register(self, api: Api) -> None:
        api.route("GET", "/api/unlinked-sessions/", access=ACCOUNTS, tags=["Sessions"], answers={200: list[UnlinkedSession]})(
            self.unlinked_sessions
        )
        api.route("POST", "/api/link-session/", access=OWNERS, tags=["Sessions"], faults=[DownloadSessionNotFound])(self.link_session)

    async def unlinked_sessions(
        self,
        caller: Caller,
        skip: Annotated[Skip, Query()] = 0,
        limit: Annotated[Limit, Query()] = 100,
        session: Annotated[str | None, Header("X-Session-ID")] = None,
    ) -> Reply:
        """Download sessions that are linked to no account yet, newest first.

        Superusers see all; others those whose request named them, and the one that `X-Session-ID` names.
        """
        found, count = await self._sessions.unowned(caller.actor, shown=_uuid(session), skip=skip, limit=limit)
        return Reply([_shown(one) for one in found], headers={"X-Total-Count": str(count)})

    async def link_session(
        self, caller: Caller, wanted: LinkSession, session: Annotated[str | None, Header("X-Session-ID")] = None
    ) -> LinkedSession:
        """Link a download session to the account of whoever asks; its downloads and their history become theirs."""
        session_id = _uuid(wanted.session_id)
        if session_id is None:
            raise DownloadSessionNotFound
        account = await self._accounts.get(caller.account_id if caller.account_id is not None else LOCAL_ACCOUNT)
        claimed = await self._sessions.claim(caller.actor, account, session_id, shown=_uuid(session))
        return LinkedSession(session_id=session_id if session_id == claimed.id else claimed.folder, linked_to_user=account.username)


def _uuid(text: str | None) -> UUID | None:
    """None for what is no id: there is nothing of that name."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _shown(one: Unowned) -> UnlinkedSession:
    session = one.session
    return UnlinkedSession(
        session_id=session.folder,
        session_uuid=session.folder,
        database_session_id=session.folder,
        created_at=session.created_at,
        last_activity=session.last_activity,
        requested_username=session.requested_username,
        total_jobs=one.jobs,
        title=one.title,
    )
