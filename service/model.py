"""The domain's values. All are frozen: a change of state returns a new one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from service.allowances import BY_ROLE, UNLIMITED, Allowance, Role
from service.media_url import MediaUrl
from service.selection import MediaType, Selection

LOCAL_ACCOUNT = 0
"""Id of the built-in account `local`, which owns what is made by local trust."""


class JobStatus(StrEnum):
    """Where a job stands. The last three are final, unless the job is retried."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_live(self) -> bool:
        return self in {JobStatus.PENDING, JobStatus.PROCESSING}


ANONYMOUS_LIFE = timedelta(hours=24)
"""Of a download session that nobody owns, since it was last used."""


class Phase(StrEnum):
    """What a live job is doing."""

    QUEUED = "queued"
    WAITING = "waiting"
    """Another job fetches the same media; its result is used."""
    LOOKING = "looking"
    DOWNLOADING = "downloading"
    CONVERTING = "converting"
    STORING = "storing"
    ITEMS = "items"
    """A list: its items are under way as jobs of their own."""
    BACKING_OFF = "backing_off"


class Origin(StrEnum):
    """What asked for a job."""

    CHAT = "chat"
    API = "api"
    LINK = "link"
    SOURCE = "source"
    CLI = "cli"


PUBLIC = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaKey:
    """What identifies stored bytes. Media of another scope than `public` is never shared beyond it."""

    scope: str
    extractor: str
    id: str
    selection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server said of a file: enough to ask later whether it changed."""

    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None

    def agrees_with(self, other: Validators) -> bool:
        """True only when there is evidence that both speak of the same bytes."""
        if self.length != other.length:
            return False
        if self.etag or other.etag:
            return self.etag == other.etag
        return bool(self.last_modified) and self.last_modified == other.last_modified and self.length is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """Stored bytes and what is known of them. `location` is a path below the media root, or an object's key."""

    id: int | None = None
    key: MediaKey
    position: int = 0
    kind: MediaType
    extension: str
    size: int
    sha256: str
    location: str
    title: str
    artist: str | None = None
    duration: timedelta | None = None
    width: int | None = None
    height: int | None = None
    validators: Validators | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """A stored file as one job shows it: `name` is unique within the job, `path` is relative to the media root."""

    job_id: UUID
    media: MediaFile
    name: str
    path: str
    epoch: int = 0
    """Raised by "revoke links": a link signed for an earlier epoch no longer opens the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody with rights."""

    id: int
    username: str
    email: str | None = None
    is_active: bool
    is_superuser: bool
    role: Role = Role.USER
    own_allowance: Allowance = UNLIMITED
    """What is set for this account alone; None there is as its role has it."""
    has_password: bool = False
    made_for: int | None = None
    """The Telegram identity for which it was made at first contact, until that one leaves."""
    is_leaving: bool = False
    """Whether it is being deleted: nothing new is accepted for it."""
    token_epoch: int = 0
    """Raised by whatever ends all logins: a token of an earlier epoch is void."""
    created_at: datetime

    @property
    def is_there(self) -> bool:
        """Whether it may be used: neither blocked nor being deleted."""
        return self.is_active and not self.is_leaving

    @property
    def allowance(self) -> Allowance:
        if self.is_superuser or self.id == LOCAL_ACCOUNT:
            return UNLIMITED
        return BY_ROLE[self.role].changed_by(self.own_allowance)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSession:
    """A group of jobs with its own folder, limits, expiry and maybe an owner."""

    id: UUID
    folder: UUID
    """Shown in paths and addresses; another than `id` where the id is itself a credential."""
    owner_id: int | None
    created_by: Origin
    requested_username: str | None = None
    requested_id: int | None = None
    """The account that had this name at the time; None where nobody had."""
    closes_with_job: bool = False
    address: str | None = None
    """Where the anonymous caller sat who opened it; None for everybody else's, which do not expire."""
    created_at: datetime
    last_activity: datetime
    closed_at: datetime | None = None

    @property
    def is_anonymous(self) -> bool:
        return self.address is not None and self.owner_id is None

    def has_expired(self, now: datetime) -> bool:
        """Whether it is an anonymous caller's, and was not used for so long that it may be swept."""
        return self.is_anonymous and self.last_activity <= now - ANONYMOUS_LIFE

    @property
    def opens_by_id(self) -> bool:
        """Whether its id is a credential: of one that somebody opened, and that nobody owns."""
        return self.id != self.folder and self.owner_id is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a fetch is. Bytes, bytes a second, and seconds; in phase `items`, items instead of bytes."""

    phase: Phase
    downloaded: int | None = None
    total: int | None = None
    speed: float | None = None
    eta: float | None = None

    @property
    def percent(self) -> float | None:
        """0 to 100, or None while the total is unknown."""
        if not self.total or self.downloaded is None:
            return None
        return round(min(100.0, 100.0 * self.downloaded / self.total), 1)


STATUS_STEP = 1000
"""By so much `seq` rises with a change of status: past all the progress that was told of and did not reach the row, as when the service
died. With a step of one the end would have a number that was told already, and whoever compares numbers would miss it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A unit of work: one address, one selection, 0 to n files."""

    id: UUID
    download_session_id: UUID
    account_id: int | None
    """Whose it is; None for callers without an account."""
    payer: str | None = None
    """Whose limits it counts against: `account:5`, or `address:192.0.2.1` for callers without an account."""
    parent_id: UUID | None = None
    origin: Origin
    url: MediaUrl
    selection: Selection
    scope: str = PUBLIC
    refresh: bool = False
    callback_url: MediaUrl | None = None
    """Who is told of its end."""
    max_items: int | None = None
    """How many items of a list it takes; None where a list is refused."""
    position: int = 0
    """Among its parent's children."""
    link_id: int | None = None
    """The link that it checks, or whose item it is."""
    is_scheduled: bool = False
    """Whether nobody asked for it in this moment."""
    items_key: str = ""
    """Of a list, when it is made: a digest of the items that it takes. Not read back."""
    status: JobStatus = JobStatus.PENDING
    attempt: int = 1
    """Rises each time the job enters the queue; the engine never runs the same attempt again once it ended."""
    starts: int = 0
    """How often work on this attempt began: more than once only when the service died under it."""
    seq: int = 1
    progress: Progress = field(default_factory=lambda: Progress(phase=Phase.QUEUED))
    waits_for: str | None = None
    title: str | None = None
    artist: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    created_at: datetime
    asked_at: datetime | None = None
    """When somebody last tried it again; None where nobody did."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def dedupe_key(self) -> str:
        """Alike for two requests of one download session that ask for the same bytes. A list's items are the list's alone,
        and two lists of one address are alike only if they take the same items.
        """
        if self.parent_id is not None:
            family = f"\n{self.parent_id}"
        elif self.link_id is not None:
            family = f"\nlook {self.id}"  # one goes on beside what the last one found
        else:
            family = f"\n{self.items_key or self.id}" if self.is_list else ""
        return hashlib.sha256(f"{self.url.text}\n{self.selection.key}\n{self.scope}{family}".encode()).hexdigest()

    @property
    def is_list(self) -> bool:
        """Whether its work is done by its children."""
        return self.progress.phase is Phase.ITEMS

    @property
    def is_look(self) -> bool:
        """Whether it looks at a link, or brought what a look found."""
        return self.link_id is not None and self.parent_id is None

    @property
    def lane(self) -> str:
        """Jobs of one lane queue behind each other; lanes take turns."""
        return f"account:{self.account_id}" if self.account_id is not None else f"session:{self.download_session_id}"

    def started(self, now: datetime) -> Job:
        return replace(
            self,
            status=JobStatus.PROCESSING,
            starts=self.starts + 1,
            started_at=now,
            waits_for=None,
            progress=Progress(phase=Phase.LOOKING),
            seq=self.seq + STATUS_STEP,
        )

    def moved(self, progress: Progress) -> Job:
        return replace(self, progress=progress, seq=self.seq + 1)

    def identified(self, title: str | None, artist: str | None) -> Job:
        return replace(self, title=title or self.title, artist=artist or self.artist, seq=self.seq + 1)

    def waiting(self, what: str) -> Job:
        return replace(self, status=JobStatus.PENDING, waits_for=what, progress=Progress(phase=Phase.WAITING), seq=self.seq + STATUS_STEP)

    def queued_again(self) -> Job:
        """A new attempt: for a retry by hand, or when what the job waited for has ended."""
        return replace(
            self,
            status=JobStatus.PENDING,
            attempt=self.attempt + 1,
            starts=0,
            waits_for=None,
            error_code=None,
            error_message=None,
            ended_at=None,
            progress=Progress(phase=Phase.QUEUED),
            seq=self.seq + STATUS_STEP,
        )

    def asked_again(self, now: datetime) -> Job:
        return replace(self, asked_at=now)

    @property
    def took(self) -> timedelta | None:
        """How long whoever asked has waited for its end."""
        return None if self.ended_at is None else self.ended_at - (self.asked_at or self.created_at)

    def under_way_again(self) -> Job:
        """A list of which some items are tried again."""
        return replace(
            self,
            status=JobStatus.PROCESSING,
            attempt=self.attempt + 1,
            error_code=None,
            error_message=None,
            ended_at=None,
            seq=self.seq + STATUS_STEP,
        )

    @property
    def fetched_bytes(self) -> int:
        """So far, by this job itself."""
        return 0 if self.progress.phase is Phase.ITEMS else self.progress.downloaded or 0

    def completed(self, now: datetime, size: int) -> Job:
        done = self.progress if self.is_list else Progress(phase=self.progress.phase, downloaded=size, total=size)
        return replace(self, status=JobStatus.COMPLETED, ended_at=now, waits_for=None, progress=done, seq=self.seq + STATUS_STEP)

    def failed(self, now: datetime, code: str, message: str) -> Job:
        return replace(
            self, status=JobStatus.FAILED, ended_at=now, waits_for=None, error_code=code, error_message=message, seq=self.seq + STATUS_STEP
        )

    def cancelled(self, now: datetime) -> Job:
        return replace(self, status=JobStatus.CANCELLED, ended_at=now, waits_for=None, seq=self.seq + STATUS_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """The one download that several jobs wait for: unique per live `MediaKey`."""

    id: UUID
    key: MediaKey
    holder: UUID
    created_at: datetime


class Outcome(StrEnum):
    """How a run ended, in history's words."""

    SUCCESS = "success"
    PARTIAL = "partial"
    FAILURE = "failure"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """What a run left."""

    id: int | None = None
    job_id: UUID
    attempt: int
    account_id: int | None
    download_session_id: UUID
    origin: Origin
    outcome: Outcome
    title: str | None
    url: str
    message: str
    code: str | None
    files: tuple[str, ...]
    started_at: datetime | None
    ended_at: datetime
    link_id: int | None = None
    link_name: str | None = None
    """As it was called then."""
    source_id: UUID | None = None
    items: int = 1
    """Of a list, how many it had."""
    items_done: int = 0
    items_failed: int = 0
