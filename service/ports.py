"""What the use cases need of the outside, as small Protocols. The edges implement them; tests run one suite a port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from service.account_ports import Accounts, ApiKeys, Audit, Charges, EndedLogins, Merges, OneTimeCodes, SiteCookieJars
from service.chat_ports import Cards, Deliveries, KeptValues, PreferencesOf, TelegramCopies, TelegramUsers, Updates
from service.link_ports import Links
from service.media_url import MediaUrl
from service.model import Account, DownloadSession, Fetch, HistoryEntry, Job, JobFile, MediaFile, MediaKey
from service.paging import Page, Window
from service.selection import Selection

if TYPE_CHECKING:  # that module uses the ports itself
    from service.download_sessions import Unowned
    from service.history import HistoryFilter
    from service.webhooks import Webhooks


class Clock(Protocol):
    """The time. `now` is aware, in UTC; `monotonic` is in seconds from no particular moment."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class Ids(Protocol):
    """Where new ids come from."""

    def new(self) -> UUID: ...


# --- storage --------------------------------------------------------------------------------------------------------


class DownloadSessions(Protocol):
    async def add(self, session: DownloadSession) -> None: ...
    async def add_all(self, sessions: Sequence[DownloadSession]) -> None: ...
    async def get(self, session_id: UUID) -> DownloadSession | None: ...
    async def of_account(self, account_id: int) -> list[DownloadSession]:
        """Oldest first."""
        ...

    async def by_id_or_folder(self, known: UUID, *, lock: bool = True) -> DownloadSession | None:
        """With `lock`, nobody else gives it away until the transaction ends."""
        ...

    async def open_count(self, since: datetime, address: str | None = None) -> int:
        """Of the anonymous ones that somebody opened, that are open and were used since: of one address, or of all."""
        ...

    async def oldest_empty(self, since: datetime, before: datetime) -> UUID | None:
        """Of these, the one without a job that was last used before this moment, and before all the others."""
        ...

    async def used(self, times: Mapping[UUID, datetime]) -> None:
        """Write down when each was last used."""
        ...

    async def unowned(
        self, named: Account | None, *, shown: UUID | None = None, everyone: bool = False, skip: int = 0, limit: int = 100
    ) -> tuple[list[Unowned], int]:
        """Newest first: those that name this account, the one that is shown, or everybody's; and how many there are."""
        ...

    async def unowned_all(self, *, since: datetime | None = None, session_id: UUID | None = None) -> list[Unowned]: ...
    async def payers_in(self, session_id: UUID) -> set[str]:
        """Of its jobs."""
        ...

    async def forget_name(self, account: Account) -> None:
        """Who was named by requests is not known any more."""
        ...

    async def give(self, session_id: UUID, account_id: int) -> None:
        """With its jobs, what they were charged, and their history."""
        ...

    async def close(self, session_id: UUID, now: datetime) -> None: ...


class Jobs(Protocol):
    async def add(self, job: Job) -> bool:
        """False, and no change, when a live twin is there."""
        ...

    async def add_all(self, jobs: Sequence[Job]) -> set[UUID]:
        """The ids of those that were added: not of those of which a live twin is there."""
        ...

    async def get(self, job_id: UUID) -> Job | None: ...
    async def locked(self, job_id: UUID) -> Job | None:
        """Nobody else changes it until the transaction ends."""
        ...

    async def children_of(self, job_id: UUID) -> list[Job]:
        """In the list's order."""
        ...

    async def of_account(self, account_id: int) -> list[Job]:
        """Oldest first."""
        ...

    async def in_session(self, session_id: UUID) -> list[Job]:
        """Oldest first."""
        ...

    async def count_in(self, session_id: UUID) -> int: ...
    async def live_of(self, account_id: int) -> list[Job]:
        """Oldest first."""
        ...

    async def live_twin(self, job: Job) -> Job | None:
        """A live job of the same download session that asks for the same bytes."""
        ...

    async def save(self, job: Job, *, if_seq: int) -> bool:
        """Write the job's state if its `seq` in the database is still `if_seq`; False, and no change, if not."""
        ...

    async def waiting_for(self, what: str) -> list[Job]:
        """Oldest first."""
        ...

    async def payers_waited_for(self) -> list[str]:
        """Those whose jobs wait for a place of theirs."""
        ...

    async def of_link(self, link_id: int, *, live: bool) -> list[Job]:
        """Its looks, oldest first: those that are under way, or all."""
        ...

    async def items_had(self, link_id: int, skip: int, told_since: datetime) -> list[Job]:
        """What a link brought, newest first, without the first so many, and without what the owner has still to get.

        Of what was found before `told_since` nothing is waited for.
        """
        ...

    async def live(self) -> list[Job]:
        """Every pending or processing job, oldest first."""
        ...

    async def ahead_of(self, job: Job) -> int:
        """How many pending jobs entered the queue before this one."""
        ...


class Fetches(Protocol):
    async def claim(self, fetch: Fetch) -> Fetch:
        """Add it, or return the live one with the same key. A job holds one fetch at a time."""
        ...

    async def of_holder(self, job_id: UUID) -> Fetch | None: ...
    async def hand_over(self, fetch_id: UUID, holder: UUID) -> None: ...
    async def end(self, fetch_id: UUID) -> None: ...
    async def all(self) -> list[Fetch]: ...


class MediaFiles(Protocol):
    async def under(self, key: MediaKey) -> list[MediaFile]:
        """The files stored under this key, in order."""
        ...

    async def fetched_before(self, urls: Sequence[MediaUrl]) -> set[str]:
        """The digests of those whose media was stored at some time, in whichever scope and selection."""
        ...

    async def key_of(self, url: MediaUrl, scope: str, selection: Selection) -> MediaKey | None:
        """The key that this address led to before."""
        ...

    async def remember(self, url: MediaUrl, key: MediaKey) -> None: ...
    async def replace(self, key: MediaKey, files: Sequence[MediaFile]) -> list[MediaFile]:
        """Make these the files under the key; returns them with their ids."""
        ...

    async def attach(self, files: Sequence[JobFile]) -> None: ...
    async def of_job(self, job_id: UUID) -> list[JobFile]: ...
    async def shown_by(self, media_file_id: int) -> list[JobFile]:
        """Every job's file with these bytes, oldest job first."""
        ...

    async def had_by(self, account_id: int, extractor: str, media_id: str) -> set[str]:
        """The selections in which the account's jobs show this medium."""
        ...

    async def relocate(self, media_file_id: int, location: str) -> None: ...
    async def forget_addresses(self, scopes: Sequence[str]) -> None:
        """Where addresses of these scopes led is not known any more."""
        ...

    async def drop_unused(self, media_file_ids: Sequence[int]) -> list[str]:
        """Forget those that no job shows any more; returns where their bytes lie."""
        ...

    async def shown_as(self, folder: UUID, job_id: UUID, name: str) -> JobFile | None: ...


class History(Protocol):
    async def add(self, entry: HistoryEntry) -> None:
        """One entry a run and attempt: adding it again changes nothing."""
        ...

    async def of_job(self, job_id: UUID) -> list[HistoryEntry]: ...
    async def get(self, entry_id: int) -> HistoryEntry | None: ...
    async def page(self, account_id: int, *, words: Sequence[str] = (), skip: int = 0, limit: int = 10) -> tuple[list[HistoryEntry], int]:
        """Newest first, those in which every word occurs, and how many there are in all."""
        ...

    async def find(self, wanted: HistoryFilter, window: Window) -> Page[HistoryEntry]:
        """Newest first."""
        ...

    async def batch(self, wanted: HistoryFilter, *, before: int | None, limit: int) -> list[HistoryEntry]:
        """The newest of those with a smaller id than `before`."""
        ...

    async def files_of(self, job_id: UUID) -> list[JobFile]:
        """The files of a run, in its order, as far as they are still there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A caller's promise that two requests are one."""

    caller: str
    key: str
    body_hash: str
    job_id: UUID
    more_job_ids: tuple[UUID, ...] = ()
    """Where one request asked for several."""
    created_at: datetime


class IdempotencyKeys(Protocol):
    async def get(self, caller: str, key: str, since: datetime) -> IdempotencyKey | None: ...
    async def put(self, entry: IdempotencyKey, since: datetime) -> bool:
        """False, and no change, when the caller has used the key after `since`."""
        ...


class QueueEntries(Protocol):
    """The queue inside a transaction: what is entered here starts only if the transaction commits."""

    async def enqueue(self, job: Job) -> None: ...
    async def enqueue_all(self, jobs: Sequence[Job]) -> None: ...
    async def enqueue_message(self, message_id: UUID, number: int, delay: timedelta) -> None:
        """A webhook's try, not before the delay is over."""
        ...


class Transaction(Protocol):
    """The repositories, all within one transaction. No network call is awaited while one is open."""

    @property
    def accounts(self) -> Accounts: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def one_time_codes(self) -> OneTimeCodes: ...
    @property
    def ended_logins(self) -> EndedLogins: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def site_cookies(self) -> SiteCookieJars: ...
    @property
    def charges(self) -> Charges: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def merges(self) -> Merges: ...
    @property
    def download_sessions(self) -> DownloadSessions: ...
    @property
    def links(self) -> Links: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def fetches(self) -> Fetches: ...
    @property
    def media_files(self) -> MediaFiles: ...
    @property
    def history(self) -> History: ...
    @property
    def idempotency_keys(self) -> IdempotencyKeys: ...
    @property
    def queue(self) -> QueueEntries: ...
    @property
    def telegram_users(self) -> TelegramUsers: ...
    @property
    def preferences(self) -> PreferencesOf: ...
    @property
    def updates(self) -> Updates: ...
    @property
    def cards(self) -> Cards: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def telegram_copies(self) -> TelegramCopies: ...
    @property
    def kept_values(self) -> KeptValues: ...


class Database(Protocol):
    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end, rolls back on any exception."""
        ...

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """For reading only."""
        ...


class Engine(Protocol):
    """The queue outside a transaction."""

    async def cancel(self, job: Job) -> None:
        """Take the job out of the queue, or end its run wherever it runs. No error when it is neither."""
        ...

    async def known(self, jobs: Sequence[Job]) -> set[UUID]:
        """Those whose present attempt the engine will run, or is running."""
        ...


class Media(Protocol):
    """The media store: local disk or S3."""

    async def adopt(self, file: Path, path: str) -> str:
        """Move a finished file to `path` below the media root, replacing what is there. Returns its location."""
        ...

    async def show(self, location: str, path: str) -> None:
        """Make the stored bytes appear at `path` too (hard link, or copy; nothing to do on S3)."""
        ...

    async def exists(self, location: str) -> bool: ...
    async def keep_as(self, location: str, path: str) -> str:
        """The bytes' new location, now that what is shown at `path` is to outlive what lies at `location`."""
        ...

    async def delete(self, path: str) -> None: ...
    async def keep_only(self, folder: str, paths: frozenset[str]) -> None:
        """Remove every stored file below the folder but these."""
        ...

    def work_directory(self, job_id: UUID) -> Path:
        """An empty directory for this job, on the media's own file system. What was in it is gone."""
        ...

    def discard_work(self, job_id: UUID) -> None: ...
    def abandoned_work(self) -> list[UUID]:
        """The jobs that have a work directory."""
        ...

    def free_bytes(self) -> int:
        """Free space where work directories and local media lie."""
        ...

    def local_path(self, location: str) -> Path | None:
        """The plain file, when there is one."""
        ...

    def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive)."""
        ...


class Vault(Protocol):
    """Keeps secrets, and derives keys from the one secret of the installation."""

    def encrypt(self, secret: str) -> bytes: ...
    def decrypt(self, token: bytes) -> str: ...
    def sign(self, purpose: str, text: str) -> str: ...
    def verify(self, purpose: str, text: str, signature: str) -> bool: ...


class JobEvents(Protocol):
    """In-process news of jobs."""

    def publish(self, job: Job) -> None: ...
    def subscribe(self, listener: Callable[[Job], None]) -> Callable[[], None]:
        """Returns what ends the subscription."""
        ...


class Quota(Protocol):
    """What an account may do. Hooks: the defaults allow everything."""

    async def admit(self, transaction: Transaction, jobs: Sequence[Job]) -> None:
        """Called in the transaction that accepts jobs of one payer: all or none. Raises `LimitReached`."""
        ...

    async def spent(self, transaction: Transaction, job: Job, size: int) -> None:
        """Called when a job fetched so many bytes."""
        ...

    async def refund(self, transaction: Transaction, job: Job) -> None:
        """Called when a job cost nothing: a store hit, or a failure of our own."""
        ...

    async def may_fetch(self, transaction: Transaction, job: Job) -> None:
        """Called before something is fetched for a job. Raises `LimitReached`."""
        ...

    async def free_places(self, transaction: Transaction, payer: str) -> int | None:
        """How many more jobs of this payer may run at once; None without limit."""
        ...
