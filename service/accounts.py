"""Accounts: made, changed, blocked and deleted."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, replace

from service import passwords
from service.allowances import Allowance, Role
from service.audit import NOBODY, Act, Actor, AuditEntry
from service.credentials import Purpose
from service.errors import AccountNotFound, Forbidden, InvalidAccount, LastSuperuser, NameTaken, SetupCodeNeeded, TooManyTries
from service.model import LOCAL_ACCOUNT, Account
from service.passwords import PasswordHashes
from service.ports import Clock, Database, Transaction
from service.rates import Rate, Rates

USERNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_TELEGRAM = re.compile(r"tg-\d+(?:-\d+)?", re.ASCII | re.IGNORECASE)
RESERVED = frozenset({"local", "me", "anonymous", "magpie"})
LONGEST_EMAIL = 320
"""Characters, of the case-folded address, which may be longer than what was typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What somebody asks for."""

    username: str
    email: str
    password: str
    is_active: bool = True
    is_superuser: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """What speaks for somebody who wants to make the first account."""

    setup_code: str | None = None
    is_at_machine: bool = False
    """Whether they came directly, as the service's own user of the machine on which alone it listens."""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """None leaves it as it is."""

    username: str | None = None
    email: str | None = None
    password: str | None = None
    is_active: bool | None = None
    is_superuser: bool | None = None
    role: Role | None = None
    allowance: Allowance | None = None

    @property
    def is_about_rights(self) -> bool:
        return any(value is not None for value in (self.is_active, self.is_superuser, self.role, self.allowance))


class Accounts:
    """`setup_code` lets somebody make the first account who is not at this machine."""

    def __init__(self, *, database: Database, hashes: PasswordHashes, rates: Rates, clock: Clock, setup_code: str) -> None:
        self._database, self._hashes, self._rates = database, hashes, rates
        self._clock, self._setup_code = clock, setup_code

    async def needs_first_user(self) -> bool:
        """Whether nobody could log in yet."""
        async with self._database.read() as transaction:
            return not await transaction.accounts.has_password()

    async def create(self, actor: Actor, new: NewAccount, first: Newcomer | None = None) -> Account:
        """Superusers make accounts; the first one, which becomes a superuser, whoever is at this machine or has the set-up code.

        Raises `Forbidden`, `SetupCodeNeeded`, `TooManyTries`, `InvalidAccount`, `NameTaken`.
        """
        if not actor.is_superuser:
            await self._may_be_first(actor, first or Newcomer())
        username, email = checked_username(new.username), _checked_email(new.email)
        password = passwords.check(new.password, username, email)
        password_hash = await self._hashes.hash(password)
        now = self._clock.now()
        async with self._database.write() as transaction:
            await transaction.accounts.lock_rights()
            is_first = not await transaction.accounts.has_password()
            if not (is_first or actor.is_superuser):
                raise Forbidden  # somebody else was faster
            account = await transaction.accounts.add(
                username,
                now,
                email=email,
                password_hash=password_hash,
                is_active=new.is_active or is_first,
                is_superuser=new.is_superuser or is_first,
            )
            await self._note(transaction, actor, Act.ACCOUNT_CREATED, account, "superuser" if account.is_superuser else None)
        return account

    async def _may_be_first(self, actor: Actor, first: Newcomer) -> None:
        if actor != NOBODY or not await self.needs_first_user():
            raise Forbidden
        if first.is_at_machine:
            return
        wait = await self._rates.hit(Rate.CODE, first.address)
        if wait is not None:
            raise TooManyTries(retry_after=wait)
        given = (first.setup_code or "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(given, self._setup_code.encode()):
            raise SetupCodeNeeded

    async def get(self, account_id: int) -> Account:
        """Raises `AccountNotFound`."""
        async with self._database.read() as transaction:
            return _found(await transaction.accounts.get(account_id))

    async def named(self, username: str) -> Account:
        """Raises `AccountNotFound`."""
        async with self._database.read() as transaction:
            return _found(await transaction.accounts.by_username(username))

    async def page(self, *, skip: int = 0, limit: int = 100) -> tuple[list[Account], int]:
        """By id, without the built-in one, and how many there are."""
        async with self._database.read() as transaction:
            return await transaction.accounts.page(skip=skip, limit=limit)

    async def change(self, actor: Actor, account_id: int, change: AccountChange) -> Account:
        """Of oneself; a superuser of anybody, rights included.

        A new password, or a block, ends all logins and revokes nothing else. Raises `AccountNotFound`, `Forbidden`,
        `InvalidAccount`, `NameTaken`, `LastSuperuser`.
        """
        await self._may_change(actor, account_id, change)
        before = await self.get(account_id)
        wanted = _applied(before, change)
        password_hash = None
        if change.password is not None:
            password_hash = await self._hashes.hash(passwords.check(change.password, wanted.username, wanted.email))
        async with self._database.write() as transaction:
            if change.is_about_rights:
                await transaction.accounts.lock_rights()
            present = _found(await transaction.accounts.locked(account_id))
            changed = _applied(present, change)
            if not (changed.is_superuser and changed.is_active):
                await keep_a_superuser(transaction, present)
            if password_hash is not None or (present.is_active and not changed.is_active):
                changed = replace(changed, token_epoch=changed.token_epoch + 1)
            await transaction.accounts.save(changed)
            if password_hash is not None:
                await transaction.accounts.set_password_hash(account_id, password_hash)
            if password_hash is not None or changed.email != present.email or not changed.is_active:
                await forget_codes(transaction, account_id)
            for act in _acts(present, changed, has_new_password=password_hash is not None):
                renamed = f"{present.username} → {changed.username}" if act is Act.ACCOUNT_CHANGED else None
                await self._note(transaction, actor, act, changed, renamed if present.username != changed.username else None)
        return replace(changed, has_password=changed.has_password or password_hash is not None)

    async def _may_change(self, actor: Actor, account_id: int, change: AccountChange) -> None:
        if account_id == LOCAL_ACCOUNT:
            raise Forbidden("The built-in account cannot be changed.")
        if actor.is_superuser:
            return
        if actor.account_id != account_id:
            raise AccountNotFound
        if change.is_about_rights:
            raise Forbidden
        if change.password is not None and await self.needs_first_user():  # else nobody could become it any more
            raise Forbidden("The first password is for whoever runs the service.")

    async def _note(self, transaction: Transaction, actor: Actor, act: Act, account: Account, details: str | None = None) -> None:
        entry = AuditEntry(at=self._clock.now(), account_id=actor.account_id, action=act, subject_id=account.id, details=details)
        await transaction.audit.add(entry)


async def keep_a_superuser(transaction: Transaction, account: Account) -> None:
    """Raises `LastSuperuser` when nobody else could look after things without this account."""
    looks_after = account.is_superuser and account.is_active and not account.is_leaving
    if looks_after and not await transaction.accounts.has_superuser(besides=[account.id], active=True):
        raise LastSuperuser


async def forget_codes(transaction: Transaction, account_id: int) -> None:
    """What was handed out before, by whomever, opens nothing any more."""
    for purpose in Purpose:
        await transaction.one_time_codes.forget(account_id, purpose)


def checked_username(text: str) -> str:
    """Plain letters and digits only, so that no two names look alike. Raises `InvalidAccount`, `NameTaken`."""
    if not USERNAME.fullmatch(text):
        raise InvalidAccount("username", "A user name has 1 to 64 of the letters a to z, digits, and . _ - in between.")
    if text.casefold() in RESERVED or _TELEGRAM.fullmatch(text):
        raise NameTaken
    return text


def _checked_email(text: str) -> str:
    """Raises `InvalidAccount`. Its form is looked at where it comes in."""
    if len(text.casefold()) > LONGEST_EMAIL:
        raise InvalidAccount("email", "This e-mail address is too long.")
    return text


def _applied(account: Account, change: AccountChange) -> Account:
    username = account.username
    if change.username is not None and change.username != username:
        username = checked_username(change.username)
    return replace(
        account,
        username=username,
        email=_checked_email(change.email) if change.email is not None else account.email,
        is_active=account.is_active if change.is_active is None else change.is_active,
        is_superuser=account.is_superuser if change.is_superuser is None else change.is_superuser,
        role=change.role or account.role,
        own_allowance=account.own_allowance if change.allowance is None else change.allowance,
    )


def _acts(before: Account, after: Account, *, has_new_password: bool) -> list[Act]:
    acts = []
    if before.is_active != after.is_active:
        acts.append(Act.UNBLOCKED if after.is_active else Act.BLOCKED)
    if (before.is_superuser, before.role, before.own_allowance) != (after.is_superuser, after.role, after.own_allowance):
        acts.append(Act.RIGHTS_CHANGED)
    if (before.username, before.email) != (after.username, after.email):
        acts.append(Act.ACCOUNT_CHANGED)
    if has_new_password:
        acts.append(Act.PASSWORD_CHANGED)
    return acts


def _found(account: Account | None) -> Account:
    if account is None:
        raise AccountNotFound
    return account
