"""One order of locks for everybody: rights, payers by their names, accounts, codes, download sessions, lists, jobs.

On PostgreSQL two that lock in different orders would wait for each other. SQLite has one writer anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from service.errors import Clash, Vanished
from service.model import LOCAL_ACCOUNT, Account, Job
from service.ports import Transaction

T = TypeVar("T")
PAUSES = (0.05, 0.2, 1.0)
"""Seconds before each further try."""
LOCAL_PAYER = f"account:{LOCAL_ACCOUNT}"


def payers_of(job: Job) -> set[str]:
    """Whose limits it counts against, and whose it is."""
    owner = None if job.account_id is None else f"account:{job.account_id}"
    return {name for name in (job.payer, owner) if name is not None}


async def lock_payers(transaction: Transaction, names: Iterable[str]) -> None:
    for name in sorted(names):
        await transaction.charges.lock(name)


async def lock_account(transaction: Transaction, account_id: int) -> Account:
    """Nobody changes or deletes it until the transaction ends. Raises `Vanished`, also for one that is being deleted."""
    account = await transaction.accounts.locked(account_id)
    if account is None or account.is_leaving:
        raise Vanished
    return account


async def account_there(transaction: Transaction, account_id: int) -> Account:
    """With its payer's lock held, nobody deletes it either. Raises `Vanished`."""
    account = await transaction.accounts.get(account_id)
    if account is None or account.is_leaving:
        raise Vanished
    return account


async def lock_for(transaction: Transaction, job: Job) -> None:
    """Before anything of a job is written. Raises `Vanished` when the account it would belong to is being deleted."""
    await lock_payers(transaction, payers_of(job))
    if job.account_id is not None:
        await account_there(transaction, job.account_id)


async def insist(act: Callable[[], Awaitable[T]]) -> T:
    """What must not be lost because others changed the same things in this moment. Raises `Clash` at the very end."""
    for pause in PAUSES:
        try:
            return await act()
        except Clash:
            await asyncio.sleep(pause)
    return await act()
