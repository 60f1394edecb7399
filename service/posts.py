"""A forwarded post's media: kept, recorded, and shown like any other run."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from service import endings
from service.chat import Member
from service.errors import MagpieError, NoSpace, TooLarge
from service.limits import payer_of
from service.locking import lock_for
from service.media_url import MediaUrl
from service.model import Job, JobFile, JobStatus, MediaFile, MediaKey, Origin, Phase, Progress
from service.naming import safe_name
from service.ports import Clock, Database, JobEvents, Media, Quota
from service.run import RunPolicy
from service.selection import MediaType, Selection

_POSTS = uuid.UUID("5f1f3b0c-1f8e-4c3d-9d7e-6d61670069e5")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostFile:
    """One file of a post, as it came. `unique_id` is Telegram's name for its bytes."""

    path: Path
    kind: MediaType
    extension: str
    size: int
    sha256: str
    unique_id: str
    title: str
    channel: str | None = None
    duration: timedelta | None = None
    width: int | None = None
    height: int | None = None


class Posts:
    """What people forward is theirs: it is never shared with another account."""

    def __init__(self, *, database: Database, media: Media, events: JobEvents, quota: Quota, clock: Clock, policy: RunPolicy) -> None:
        self._database, self._media, self._events, self._quota, self._clock = database, media, events, quota, clock
        self._policy = policy

    def id_of(self, bot_id: int, chat_id: int, message_id: int) -> UUID:
        """The job's id: the same for the same message, so that a replay adds nothing."""
        return uuid.uuid5(_POSTS, f"{bot_id}:{chat_id}:{message_id}")

    def room_for(self, job_id: UUID, size: int | None) -> Path:
        """An empty directory to fetch a file of so many bytes into. Raises `TooLarge`, `NoSpace`."""
        room = self._media.free_bytes() - self._policy.min_free_disk
        if size is not None and size > self._policy.max_file_size:
            raise TooLarge
        if room <= 0 or (size is not None and size > room):
            raise NoSpace
        return self._media.work_directory(job_id)

    def clear(self, job_id: UUID) -> None:
        self._media.discard_work(job_id)

    async def known(self, job_id: UUID) -> Job | None:
        async with self._database.read() as transaction:
            return await transaction.jobs.get(job_id)

    async def keep(self, member: Member, job_id: UUID, url: MediaUrl, file: PostFile) -> Job:
        """Store the file and record the run. Raises `LimitReached`; keeping it twice changes nothing."""
        now = self._clock.now()
        selection = Selection(media_type=file.kind, format="original", quality="best")
        job = Job(
            id=job_id,
            download_session_id=member.user.download_session_id,
            account_id=member.account.id,
            payer=payer_of(member.account.id, None),
            origin=Origin.CHAT,
            url=url,
            selection=selection,
            scope=f"account:{member.account.id}",
            status=JobStatus.COMPLETED,
            progress=Progress(phase=Phase.STORING, downloaded=file.size, total=file.size),
            title=file.title,
            artist=file.channel,
            created_at=now,
            started_at=now,
            ended_at=now,
        )
        async with self._database.read() as transaction:
            session = await transaction.download_sessions.get(job.download_session_id)
        assert session is not None, "a session in use goes together with its identity"
        name = safe_name(file.title, file.extension)
        path = f"downloads/{session.folder}/{job_id}/{file.kind.folder}/{name}"
        location = await self._media.adopt(file.path, path)
        media = _media_file(
            file, MediaKey(scope=job.scope, extractor="telegram", id=file.unique_id, selection=selection.key), location, job
        )
        try:
            is_new = await self._record(job, media, name, path)
        except MagpieError:
            await self._media.delete(path)
            raise
        if is_new:
            self._events.publish(job)
        return job

    async def _record(self, job: Job, media: MediaFile, name: str, path: str) -> bool:
        """False, and no change, when it was recorded before."""
        async with self._database.write() as transaction:
            await lock_for(transaction, job)
            if not await transaction.jobs.add(job):
                return False
            await self._quota.admit(transaction, job)
            await self._quota.spent(transaction, job, media.size)
            (stored,) = await transaction.media_files.replace(media.key, [media])
            shown = [JobFile(job_id=job.id, media=stored, name=name, path=path)]
            await transaction.media_files.attach(shown)
            await endings.end(transaction, self._quota, job, shown)
        return True


def _media_file(file: PostFile, key: MediaKey, location: str, job: Job) -> MediaFile:
    return MediaFile(
        key=key,
        kind=file.kind,
        extension=file.extension,
        size=file.size,
        sha256=file.sha256,
        location=location,
        title=file.title,
        artist=file.channel,
        duration=file.duration,
        width=file.width,
        height=file.height,
        created_at=job.created_at,
    )
