"""What callers may use, counted in the database: the hooks that `Downloads` calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.allowances import ANONYMOUS, DAY, UNLIMITED, Allowance
from service.errors import DailyBytesReached, DailyJobsReached, StorageFull
from service.locking import LOCAL_PAYER
from service.model import Account, Job
from service.ports import Clock, Transaction


def payer_of(account_id: int | None, address: str | None) -> str | None:
    """Whose limits a job counts against."""
    if account_id is not None:
        return f"account:{account_id}"
    return f"address:{address}" if address else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One accepted job. `bytes` is what it fetched."""

    job_id: UUID
    payer: str
    account_id: int | None
    bytes: int = 0
    charged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Within a stretch of time."""

    jobs: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What somebody has used of what they may use. A day is the last 24 hours."""

    allowance: Allowance
    jobs_today: int
    bytes_today: int
    running: int
    stored_bytes: int


class NoQuota:
    """Admits everything: for a process that runs one job for whoever started it."""

    async def admit(self, transaction: Transaction, jobs: Sequence[Job]) -> None:
        """Raises nothing."""

    async def spent(self, transaction: Transaction, job: Job, size: int) -> None:
        """Nothing is counted."""

    async def refund(self, transaction: Transaction, job: Job) -> None:
        """Nothing was charged."""

    async def may_fetch(self, transaction: Transaction, job: Job) -> None:
        """Raises nothing."""

    async def free_places(self, transaction: Transaction, payer: str) -> int | None:
        del transaction, payer
        return None


class NobodyStarts(NoQuota):
    """For a process that runs no jobs: who waits for a place is looked after by the service."""

    async def free_places(self, transaction: Transaction, payer: str) -> int | None:
        del transaction, payer
        return 0


class Quotas:
    """A job counts when it is accepted; a store hit does not, and a failure of our own is given back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def admit(self, transaction: Transaction, jobs: Sequence[Job]) -> None:
        """Count the jobs, which are one payer's. Raises `DailyJobsReached`, `DailyBytesReached`, `StorageFull` with when to come back."""
        payer = jobs[0].payer if jobs else None
        if payer is None or payer == LOCAL_PAYER:
            return
        allowance = await self._allowance_of(transaction, payer)
        now = self._clock.now()
        if allowance != UNLIMITED:
            await transaction.charges.lock(payer)
            await self._check(transaction, payer, allowance, now, len(jobs))
        await transaction.charges.add([Charge(job_id=job.id, payer=payer, account_id=job.account_id, charged_at=now) for job in jobs])

    async def _check(self, transaction: Transaction, payer: str, allowance: Allowance, now: datetime, more: int = 1) -> None:
        since = now - DAY
        spent = await transaction.charges.since(payer, since)
        if allowance.jobs_a_day is not None and spent.jobs + more > allowance.jobs_a_day:
            # The one whose end brings the count below the limit; for more than a day's worth there is none.
            oldest = await transaction.charges.nth_oldest(payer, since, spent.jobs + more - allowance.jobs_a_day - 1)
            raise DailyJobsReached(retry_after=_until(oldest, now))
        await self._check_bytes(transaction, payer, allowance, now, spent)

    async def _check_bytes(
        self, transaction: Transaction, payer: str, allowance: Allowance, now: datetime, spent: Spent | None = None
    ) -> None:
        since = now - DAY
        if allowance.bytes_a_day is not None:
            spent = spent or await transaction.charges.since(payer, since)
            if spent.bytes >= allowance.bytes_a_day:
                # The one whose end brings the sum below the limit.
                last = await transaction.charges.when_below(payer, since, spent.bytes - allowance.bytes_a_day)
                raise DailyBytesReached(retry_after=_until(last, now))
        if allowance.stored_bytes is not None and await transaction.charges.stored(payer) >= allowance.stored_bytes:
            raise StorageFull  # no time makes room, only deleting does

    async def spent(self, transaction: Transaction, job: Job, size: int) -> None:
        """The job fetched so many bytes."""
        if size:
            await transaction.charges.spent(job.id, size)

    async def refund(self, transaction: Transaction, job: Job) -> None:
        await transaction.charges.remove(job.id)

    async def may_fetch(self, transaction: Transaction, job: Job) -> None:
        """Many are accepted while little has come: looked at again before each fetch. Raises `DailyBytesReached`, `StorageFull`."""
        if job.payer is not None:
            await self._check_bytes(transaction, job.payer, await self._allowance_of(transaction, job.payer), self._clock.now())

    async def free_places(self, transaction: Transaction, payer: str) -> int | None:
        """Whoever starts or ends a job of the same payer waits until this is written."""
        allowance = await self._allowance_of(transaction, payer)
        if allowance.at_once is None:
            return None
        await transaction.charges.lock(payer)
        return max(0, allowance.at_once - await transaction.charges.running(payer))

    async def usage(self, transaction: Transaction, account: Account) -> Usage:
        payer = f"account:{account.id}"
        spent = await transaction.charges.since(payer, self._clock.now() - DAY)
        return Usage(
            allowance=account.allowance,
            jobs_today=spent.jobs,
            bytes_today=spent.bytes,
            running=await transaction.charges.running(payer),
            stored_bytes=await transaction.charges.stored(payer),
        )

    async def opens_in(self, transaction: Transaction, account: Account) -> timedelta | None:
        """How long until one more job is accepted; None when one would be now, or when waiting does not help."""
        try:
            await self._check(transaction, f"account:{account.id}", account.allowance, self._clock.now())
        except (DailyJobsReached, DailyBytesReached, StorageFull) as reached:
            return reached.retry_after
        return None

    async def _allowance_of(self, transaction: Transaction, payer: str) -> Allowance:
        if payer == LOCAL_PAYER:
            return UNLIMITED
        kind, _, who = payer.partition(":")
        account = await transaction.accounts.get(int(who)) if kind == "account" else None
        return account.allowance if account else ANONYMOUS


def _until(charged_at: datetime | None, now: datetime) -> timedelta:
    return max(timedelta(seconds=1), (charged_at or now) + DAY - now)
