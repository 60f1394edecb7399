"""Pairing: a Telegram identity joins an account. Both sides show whose account it is; nothing moves before [Join]."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

from service.audit import Act, Actor, AuditEntry
from service.chat import TelegramUser
from service.credentials import OneTimeCode, Purpose, digest_of
from service.errors import AlreadyPaired, Blocked, CodeInvalid, LastSuperuser, NotPaired, TooManyTries
from service.locking import lock_account, lock_payers
from service.model import LOCAL_ACCOUNT, Account
from service.ports import Clock, Database, Transaction
from service.rates import Rate, Rates

CODE_LIFE = timedelta(minutes=10)
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without what looks alike."""
CODE_LENGTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingCode:
    """What an account shows to join a Telegram identity to it. `number` is shown on both sides."""

    code: str
    number: int
    life: timedelta = CODE_LIFE


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What a Telegram identity has had so far, and what would move."""

    history: int
    files: int
    cookies: int
    keys: int
    """API keys, which do not move: they would get the other account's rights."""

    @property
    def is_nothing(self) -> bool:
        return not (self.history or self.files or self.cookies or self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Before [Join]: whose account it is, and what would happen."""

    account: Account
    number: int
    moves: Moves


class Pairing:
    """One Telegram user to one account; an account may have several."""

    def __init__(self, *, database: Database, rates: Rates, clock: Clock) -> None:
        self._database, self._rates, self._clock = database, rates, clock

    async def code_for(self, account: Account) -> PairingCode:
        """A new code; an earlier one is void. Raises `Blocked`."""
        if not account.is_there:
            raise Blocked
        code = "".join(secrets.choice(_LETTERS) for _ in range(CODE_LENGTH))
        number, now = 10 + secrets.randbelow(90), self._clock.now()
        kept = OneTimeCode(
            digest=digest_of(code),
            purpose=Purpose.PAIRING,
            account_id=account.id,
            number=number,
            created_at=now,
            expires_at=now + CODE_LIFE,
        )
        async with self._database.write() as transaction:
            await lock_account(transaction, account.id)
            await transaction.one_time_codes.put(kept)
        return PairingCode(code=code, number=number)

    async def offer(self, user: TelegramUser, code: str) -> Offer:
        """Raises `CodeInvalid`, `AlreadyPaired`, `Blocked`, `LastSuperuser`, `TooManyTries`; the code stays good."""
        wait = await self._rates.hit(Rate.CODE, f"telegram:{user.id}")
        if wait is not None:
            raise TooManyTries(retry_after=wait)
        async with self._database.read() as transaction:
            kept = await transaction.one_time_codes.get(digest_of(_plain(code)), Purpose.PAIRING, self._clock.now())
            if kept is None or kept.number is None:
                raise CodeInvalid
            account = await self._joinable(transaction, user, kept)
            return Offer(account=account, number=kept.number, moves=await transaction.merges.moves(user.account_id))

    async def join(self, user: TelegramUser, code: str) -> Account:
        """Use the code up: what the identity's own account had is the joined account's, whose rights stay as they are.

        Raises what `offer` raises.
        """
        now, digest = self._clock.now(), digest_of(_plain(code))
        async with self._database.write() as transaction:
            kept = await transaction.one_time_codes.get(digest, Purpose.PAIRING, now)
            known = await transaction.telegram_users.get(user.id)
            if kept is None or known is None:
                raise CodeInvalid
            await self._lock(transaction, known.account_id, kept.account_id)
            present = await transaction.telegram_users.get(user.id)
            if await transaction.one_time_codes.take(digest, Purpose.PAIRING, now) is None or present != known:
                raise CodeInvalid
            account = await self._joinable(transaction, present, kept)
            await transaction.merges.merge(present.account_id, account.id)  # its keys do not come along, nor its logins
            await transaction.accounts.remove(present.account_id)
            await transaction.audit.add(
                AuditEntry(at=now, account_id=account.id, action=Act.PAIRED, subject_id=account.id, details=f"tg-{user.id}")
            )
        return account

    async def _lock(self, transaction: Transaction, *account_ids: int) -> None:
        """Nothing is accepted for either meanwhile: what is would be lost with the account that goes."""
        await transaction.accounts.lock_rights()
        await lock_payers(transaction, [f"account:{account_id}" for account_id in account_ids])
        for account_id in sorted(account_ids):
            await transaction.accounts.locked(account_id)

    async def _joinable(self, transaction: Transaction, user: TelegramUser, kept: OneTimeCode) -> Account:
        account = await transaction.accounts.get(kept.account_id)
        own = await transaction.accounts.get(user.account_id)
        if account is None or own is None:
            raise CodeInvalid
        if account.is_leaving or own.is_leaving:
            raise CodeInvalid
        if not account.is_active or not own.is_active:
            raise Blocked
        if own.id in {account.id, LOCAL_ACCOUNT} or not is_own(user, own) or await self._can_be_left(transaction, user, own):
            raise AlreadyPaired
        if own.is_superuser and not account.is_superuser and not await transaction.accounts.has_superuser(besides=[own.id], active=True):
            raise LastSuperuser
        return account

    async def of_account(self, account_id: int) -> list[TelegramUser]:
        async with self._database.read() as transaction:
            return await transaction.telegram_users.of_account(account_id)

    async def unpair(self, actor: Actor, account_id: int, telegram_id: int) -> TelegramUser:
        """The identity has nothing of the account any more, and gets an account of its own when it comes again.

        Raises `NotPaired`, also for an account that nobody could get into afterwards.
        """
        async with self._database.write() as transaction:
            user = await transaction.telegram_users.get(telegram_id)
            account = await transaction.accounts.locked(account_id)  # two who leave at once: the second one sees that it is the last
            if user is None or account is None or user.account_id != account_id or not await self._can_be_left(transaction, user, account):
                raise NotPaired
            await transaction.merges.leave(user)  # its sign-in links and logins by them go, too
            if is_own(user, account):
                await transaction.accounts.save(replace(account, made_for=None))
            entry = AuditEntry(at=self._clock.now(), account_id=actor.account_id, action=Act.UNPAIRED, subject_id=account_id)
            await transaction.audit.add(entry)
        return user

    async def can_be_left(self, user: TelegramUser, account: Account) -> bool:
        """Whether somebody could get into the account without this identity."""
        async with self._database.read() as transaction:
            return await self._can_be_left(transaction, user, account)

    async def _can_be_left(self, transaction: Transaction, user: TelegramUser, account: Account) -> bool:
        others = await transaction.telegram_users.of_account(account.id)
        return account.id == LOCAL_ACCOUNT or account.has_password or any(other.id != user.id for other in others)


def is_own(user: TelegramUser, account: Account) -> bool:
    """Whether the account was made for this identity, at first contact."""
    return account.made_for == user.id


def masked(email: str | None) -> str | None:
    """`a…e@example.org`: enough to know one's own."""
    if not email:
        return None
    name, _, host = email.rpartition("@")
    return f"{name[:1]}…{name[-1:] if len(name) > 2 else ''}@{host}"  # noqa: PLR2004 - short names show their first letter only


def _plain(code: str) -> str:
    return "".join(code.split()).replace("-", "").upper()
