"""Download sessions that people open: how many, for how long, what is in them, and their end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from service.audit import Actor
from service.downloads import Downloads
from service.errors import DownloadSessionNotFound, SessionsFull, TooManySessions
from service.forgetting import EmptiesVaults, Leavings
from service.model import ANONYMOUS_LIFE, DownloadSession, Job, Origin
from service.paging import Page, Window
from service.ports import Clock, Database, Ids, Media, Transaction

log = logging.getLogger("magpie.download_sessions")
MOST_OPEN = 100
MOST_AN_ADDRESS = 25
IDLE = timedelta(minutes=10)
LIFE = ANONYMOUS_LIFE
LOCK = "open sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What is in a download session. `stored_bytes` counts each file once."""

    jobs: int = 0
    live: int = 0
    completed: int = 0
    failed: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A download session and what is in it."""

    session: DownloadSession
    tally: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The sums over all sessions that somebody may see."""

    sessions: int
    open: int
    tally: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks: an account, and the session whose id they show. A superuser sees all."""

    actor: Actor
    shown: UUID | None = None
    named: UUID | None = None
    """The session that a request is about: the one whose id is shown, or one's own."""


class SessionRows(Protocol):
    """Download sessions as they are looked through."""

    async def page(self, viewer: Viewer, *, is_open: bool | None, now: datetime, window: Window) -> Page[Opened]:
        """Newest first. Anonymous ones that have expired are not open any more."""
        ...

    async def tally(self, session_id: UUID) -> Tally: ...
    async def overview(self, viewer: Viewer, now: datetime) -> Overview: ...
    async def jobs_in(self, session_id: UUID) -> list[Job]: ...
    async def remove(self, session_id: UUID, media_file_ids: Sequence[int]) -> list[str]:
        """A transaction of its own, as `OwnSessionRows.remove`."""
        ...


class OpenedSessions:
    """`used` is kept in memory and written down with `flush`: a look at a session writes nothing."""

    def __init__(
        self,
        *,
        rows: SessionRows,
        database: Database,
        downloads: Downloads,
        media: Media,
        clock: Clock,
        ids: Ids,
        vaults: EmptiesVaults | None = None,
    ) -> None:
        self._rows, self._database, self._clock, self._ids = rows, database, clock, ids
        self._leavings = Leavings(database=database, downloads=downloads, media=media, vaults=vaults)
        self._used: dict[UUID, datetime] = {}

    # --- opening --------------------------------------------------------------------------------------------------------

    async def open(self, *, owner_id: int | None, address: str | None) -> Opened:
        """`address` is an anonymous caller's; without one the session does not expire. Raises `TooManySessions`, `SessionsFull`."""
        now = self._clock.now()
        session = DownloadSession(
            id=self._ids.new(),
            folder=self._ids.new(),
            owner_id=owner_id,
            created_by=Origin.API,
            address=address,
            created_at=now,
            last_activity=now,
        )
        if address is not None:
            await self.flush()  # who is idle is told by what is written down
        async with self._database.write() as transaction:
            if address is not None:
                await self._make_room(transaction, address, now)
            await transaction.download_sessions.add(session)
        return Opened(session=session, tally=Tally())

    async def _make_room(self, transaction: Transaction, address: str, now: datetime) -> None:
        await transaction.charges.lock(LOCK)
        since = now - LIFE
        if await transaction.download_sessions.open_count(since, address) >= MOST_AN_ADDRESS:
            raise TooManySessions
        if await transaction.download_sessions.open_count(since) < MOST_OPEN:
            return
        idle = await transaction.download_sessions.oldest_empty(since, now - IDLE)
        if idle is None:
            raise SessionsFull(retry_after=IDLE)
        await transaction.download_sessions.close(idle, now)

    # --- looking --------------------------------------------------------------------------------------------------------

    async def shown(self, session_id: UUID | None) -> DownloadSession | None:
        """The unowned session that this id opens, and a note that it was used. None for an id that opens nothing (any more)."""
        if session_id is None:
            return None
        async with self._database.read() as transaction:
            session = await transaction.download_sessions.get(session_id)
        if session is None or not session.opens_by_id or not self.is_open(session):
            return None
        self.touch(session)
        return session

    async def viewer(self, actor: Actor, named: UUID) -> Viewer:
        """Whoever names a session. Raises `DownloadSessionNotFound` when it neither opens to them nor is theirs."""
        if (session := await self.shown(named)) is not None:
            return Viewer(actor=actor, shown=session.id, named=session.id)
        async with self._database.read() as transaction:
            session = await transaction.download_sessions.by_id_or_folder(named, lock=False)
        if session is None or not _may_see(Viewer(actor=actor), session):
            raise DownloadSessionNotFound
        return Viewer(actor=actor, named=session.id)

    async def for_jobs(self, actor: Actor, known: UUID) -> DownloadSession | None:
        """The open session in which the actor may download: by the id that opens it, or one of their own.

        Superusers, to whom lists show the folders only, may name one that nobody owns by that, too.
        """
        if (session := await self.shown(known)) is not None:
            return session
        async with self._database.read() as transaction:
            session = await transaction.download_sessions.by_id_or_folder(known, lock=False)
        if session is None or not self.is_open(session):
            return None
        is_theirs = session.owner_id is not None and session.owner_id == actor.account_id
        return session if is_theirs or (actor.is_superuser and session.opens_by_id) else None

    def touch(self, session: DownloadSession) -> None:
        self._used[session.id] = self._clock.now()

    async def get(self, viewer: Viewer, known: UUID) -> Opened:
        """By its id, or by its folder. Raises `DownloadSessionNotFound`."""
        session = await self._seen(viewer, known)
        return Opened(session=session, tally=await self._rows.tally(session.id))

    async def _seen(self, viewer: Viewer, known: UUID) -> DownloadSession:
        async with self._database.read() as transaction:
            session = await transaction.download_sessions.by_id_or_folder(known, lock=False)
        if session is None or not _may_see(viewer, session) or (session.is_anonymous and self._has_expired(session)):
            raise DownloadSessionNotFound
        return session

    async def page(self, viewer: Viewer, *, is_open: bool | None, window: Window) -> Page[Opened]:
        return await self._rows.page(viewer, is_open=is_open, now=self._clock.now(), window=window)

    async def overview(self, viewer: Viewer) -> Overview:
        return await self._rows.overview(viewer, self._clock.now())

    def last_used(self, session: DownloadSession) -> datetime:
        return max(session.last_activity, self._used.get(session.id, session.last_activity))

    def is_open(self, session: DownloadSession) -> bool:
        return session.closed_at is None and not self._has_expired(session)

    def _has_expired(self, session: DownloadSession) -> bool:
        return session.is_anonymous and self.last_used(session) <= self._clock.now() - LIFE

    # --- the end --------------------------------------------------------------------------------------------------------

    async def delete(self, viewer: Viewer, known: UUID) -> Opened:
        """End its jobs, and delete it with its files; returns what it was. What another job also shows is kept for it.

        Cut short, it leaves files that belong to nothing, which the sweeper finds. Raises `DownloadSessionNotFound`.
        """
        opened = await self.get(viewer, known)
        session = opened.session
        if session.created_by is not Origin.CHAT:  # a chat goes on with its own
            async with self._database.write() as transaction:
                await transaction.download_sessions.close(session.id, self._clock.now())  # nothing is added meanwhile
        await self._leavings.stop(await self._rows.jobs_in(session.id))
        await self._leavings.drop(await self._rows.jobs_in(session.id), partial(self._rows.remove, session.id))
        self._used.pop(session.id, None)
        log.info("download session deleted", extra={"session": str(session.folder), "jobs": opened.tally.jobs})
        return opened

    async def flush(self) -> None:
        """Write down when sessions were last used: one statement for all of them."""
        used = dict(self._used)
        if used:
            async with self._database.write() as transaction:
                await transaction.download_sessions.used(used)
        for session_id, at in used.items():
            if self._used.get(session_id) == at:  # else it was used again meanwhile
                del self._used[session_id]


def _may_see(viewer: Viewer, session: DownloadSession) -> bool:
    if viewer.actor.is_superuser or (session.owner_id is not None and session.owner_id == viewer.actor.account_id):
        return True
    return session.opens_by_id and viewer.shown == session.id
