"""Logging in: by password, by a one-time link, with a token afterwards; and a lost password."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from service import passwords
from service.accounts import forget_codes
from service.audit import Act, AuditEntry
from service.credentials import OneTimeCode, Purpose, digest_of
from service.errors import CodeInvalid, TooManyTries, Vanished, WrongPassword
from service.locking import lock_account
from service.model import Account
from service.passwords import PasswordHashes
from service.ports import Clock, Database, Ids, Transaction
from service.rates import Rate, Rates

TOKEN_LIFE = timedelta(hours=1)
COOKIE_LIFE = timedelta(days=7)
RESET_LIFE = timedelta(hours=1)
SIGN_IN_LIFE = timedelta(minutes=10)
LONGEST_NAME = 320
LETTERS_WITHIN = 2.0
"""Seconds."""


class Audience(StrEnum):
    """Where a token is shown: one for one place is void in the other."""

    API = "api"
    WEB = "web"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says."""

    account_id: int
    epoch: int
    telegram_id: int | None = None
    """Of whoever came by a link from the chat: it is good only while that identity belongs to the account."""
    audience: Audience
    id: str
    issued_at: datetime
    expires_at: datetime


class Tokens(Protocol):
    """Signs what a token says, and reads what was signed here."""

    def sign(self, claims: Claims) -> str: ...
    def read(self, token: str) -> Claims | None:
        """None for one that nobody here signed, or that cannot be read. The expiry is not looked at."""
        ...


class Mail(Protocol):
    """Letters to account holders. Raises nothing: what could not be sent is logged."""

    async def send_reset(self, account: Account, token: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Somebody who is logged in, and what they show from now on."""

    account: Account
    token: str
    claims: Claims


class Logins:
    """Every way to become known, but API keys."""

    def __init__(
        self, *, database: Database, hashes: PasswordHashes, tokens: Tokens, rates: Rates, mail: Mail, clock: Clock, ids: Ids
    ) -> None:
        self._database, self._hashes, self._tokens = database, hashes, tokens
        self._rates, self._mail, self._clock, self._ids = rates, mail, clock, ids
        self._letters: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Letters that are on their way get a moment."""
        if self._letters:
            await asyncio.wait(self._letters, timeout=LETTERS_WITHIN)
        for task in self._letters:
            task.cancel()

    # --- by password ------------------------------------------------------------------------------------------------

    async def log_in(self, name: str, password: str, address: str, audience: Audience = Audience.API) -> Login:
        """By user name or e-mail address. Raises `WrongPassword`, also for a name that nobody has and for a blocked account,
        after as long a time; `TooManyTries` before anything slow is done.
        """
        name = name[: LONGEST_NAME + 1]
        await self._count(Rate.LOGIN_ADDRESS, address)
        async with self._database.read() as transaction:
            account = await _by_login(transaction, name)
            password_hash = await transaction.accounts.password_hash_of(account.id) if account else None
        who = f"account {account.id}" if account else name.casefold()  # by name or by address: it is one account
        await self._count(Rate.LOGIN_NAME, who)
        is_right = await self._hashes.verify(password_hash, passwords.normalised(password))
        if not is_right or account is None or not account.is_there:
            await self._note(Act.LOGIN_FAILED, account)
            raise WrongPassword
        await self._rates.clear(Rate.LOGIN_NAME, who)
        if password_hash is not None and self._hashes.is_outdated(password_hash):
            await self._rehash(account, password, password_hash)
        try:
            await self._note(Act.LOGGED_IN, account)
        except Vanished:
            raise WrongPassword from None
        return self.login_of(account, audience)

    async def _rehash(self, account: Account, password: str, outdated: str) -> None:
        """Unless the password was changed meanwhile."""
        stronger = await self._hashes.hash(passwords.normalised(password))
        async with self._database.write() as transaction:
            if await transaction.accounts.locked(account.id) and await transaction.accounts.password_hash_of(account.id) == outdated:
                await transaction.accounts.set_password_hash(account.id, stronger)

    async def _count(self, rate: Rate, who: str) -> None:
        wait = await self._rates.hit(rate, who)
        if wait is not None:
            raise TooManyTries(retry_after=wait)

    # --- by token ---------------------------------------------------------------------------------------------------

    def login_of(self, account: Account, audience: Audience = Audience.API, telegram_id: int | None = None) -> Login:
        """A token for an account that is known already."""
        now = self._clock.now()
        claims = Claims(
            account_id=account.id,
            epoch=account.token_epoch,
            telegram_id=telegram_id,
            audience=audience,
            id=self._ids.new().hex,
            issued_at=now,
            expires_at=now + (TOKEN_LIFE if audience is Audience.API else COOKIE_LIFE),
        )
        return Login(account=account, token=self._tokens.sign(claims), claims=claims)

    async def of_token(self, token: str, audience: Audience = Audience.API) -> Login | None:
        """None for a token that is wrong, too old, or void since a password was changed or an account blocked."""
        claims = self._tokens.read(token)
        if claims is None or claims.audience is not audience or claims.expires_at <= self._clock.now():
            return None
        async with self._database.read() as transaction:
            account = await transaction.accounts.get(claims.account_id)
            is_ended = await transaction.ended_logins.has(claims.id) or not await _still_belongs(transaction, claims)
        if is_ended or account is None or not account.is_there or account.token_epoch != claims.epoch:
            return None
        return Login(account=account, token=token, claims=claims)

    def is_expired(self, token: str) -> bool:
        """Whether it was ours, and is only too old."""
        claims = self._tokens.read(token)
        return claims is not None and claims.expires_at <= self._clock.now()

    async def log_out(self, login: Login) -> None:
        """This token is void from now on; the account's others are not."""
        async with self._database.write() as transaction:
            await transaction.ended_logins.add(login.claims.id, login.claims.expires_at)

    # --- a lost password --------------------------------------------------------------------------------------------

    async def request_reset(self, email: str, address: str) -> None:
        """A letter to whoever has this address; nothing tells whether somebody does. Raises `TooManyTries`."""
        await self._count(Rate.RESET_ADDRESS, address)
        if await self._rates.hit(Rate.RESET_NAME, email.casefold()) is not None:
            return  # silently: it would tell that the address is known
        task = asyncio.create_task(self._send_reset(email), name="password reset")  # how long it takes would tell, too
        self._letters.add(task)
        task.add_done_callback(self._letters.discard)

    async def _send_reset(self, email: str) -> None:
        token = secrets.token_urlsafe(32)
        async with self._database.read() as transaction:
            account = await transaction.accounts.by_email(email)
        if account is None or not account.is_there:
            return
        await self._keep(Purpose.RESET, account, token, RESET_LIFE, Act.RESET_REQUESTED)
        await self._mail.send_reset(account, token)

    async def reset(self, token: str, password: str, address: str) -> Account:
        """A new password; the token is used up and all logins end. Raises `CodeInvalid`, `InvalidAccount`, `TooManyTries`."""
        await self._count(Rate.CODE, address)
        now = self._clock.now()
        async with self._database.read() as transaction:
            code = await transaction.one_time_codes.get(digest_of(token), Purpose.RESET, now)
            account = await transaction.accounts.get(code.account_id) if code else None
        if account is None:
            raise CodeInvalid
        text = passwords.check(password, account.username, account.email, field="new_password")  # a weak one does not use the token up
        password_hash = await self._hashes.hash(text)
        async with self._database.write() as transaction:
            present = await transaction.accounts.locked(account.id)
            taken = await transaction.one_time_codes.take(digest_of(token), Purpose.RESET, now)
            if taken is None or present is None or not present.is_there:
                raise CodeInvalid
            await transaction.accounts.save(replace(present, token_epoch=present.token_epoch + 1))
            await transaction.accounts.set_password_hash(account.id, password_hash)
            await forget_codes(transaction, account.id)
            await transaction.audit.add(AuditEntry(at=now, account_id=account.id, action=Act.PASSWORD_RESET, subject_id=account.id))
        return present

    # --- by a one-time link -----------------------------------------------------------------------------------------

    async def sign_in_code(self, account: Account, telegram_id: int | None = None) -> str:
        """For somebody who is known already, in the chat: it logs in once."""
        code = secrets.token_urlsafe(32)
        await self._keep(Purpose.SIGN_IN, account, code, SIGN_IN_LIFE, Act.SIGN_IN_LINK, telegram_id)
        return code

    async def account_of_code(self, code: str, address: str) -> Account:
        """Whose sign-in link it is; it stays good. Raises `CodeInvalid`, `TooManyTries`."""
        async with self._database.read() as transaction:
            kept = await transaction.one_time_codes.get(digest_of(code), Purpose.SIGN_IN, self._clock.now())
            account = await transaction.accounts.get(kept.account_id) if kept else None
        if account is None or not account.is_there:
            await self._count(Rate.CODE, address)  # only guesses: link previews look at right ones, too
            raise CodeInvalid
        return account

    async def sign_in(self, code: str, address: str) -> Login:
        """Raises `CodeInvalid`, `TooManyTries`."""
        await self._count(Rate.CODE, address)
        async with self._database.write() as transaction:
            taken = await transaction.one_time_codes.take(digest_of(code), Purpose.SIGN_IN, self._clock.now())
            account = await transaction.accounts.get(taken.account_id) if taken else None
        if taken is None or account is None or not account.is_there:
            raise CodeInvalid
        await self._note(Act.LOGGED_IN, account)
        return self.login_of(account, Audience.WEB, taken.telegram_id)

    # --- parts ------------------------------------------------------------------------------------------------------

    async def _keep(  # noqa: PLR0917 - what a code is made of
        self, purpose: Purpose, account: Account, secret: str, life: timedelta, act: Act, telegram_id: int | None = None
    ) -> None:
        now = self._clock.now()
        code = OneTimeCode(
            digest=digest_of(secret),
            purpose=purpose,
            account_id=account.id,
            telegram_id=telegram_id,
            created_at=now,
            expires_at=now + life,
        )
        async with self._database.write() as transaction:
            await lock_account(transaction, account.id)
            await transaction.one_time_codes.put(code)
            await transaction.audit.add(AuditEntry(at=now, account_id=None, action=act, subject_id=account.id))

    async def _note(self, act: Act, account: Account | None) -> None:
        """Failed tries of names that nobody has are not written down: they would fill the trail with what people mistype."""
        if account is None:
            return
        who = account.id if act is not Act.LOGIN_FAILED else None
        async with self._database.write() as transaction:
            await transaction.audit.add(AuditEntry(at=self._clock.now(), account_id=who, action=act, subject_id=account.id))


async def _still_belongs(transaction: Transaction, claims: Claims) -> bool:
    if claims.telegram_id is None:
        return True
    user = await transaction.telegram_users.get(claims.telegram_id)
    return user is not None and user.account_id == claims.account_id


async def _by_login(transaction: Transaction, name: str) -> Account | None:
    if "@" in name:
        return await transaction.accounts.by_email(name)
    return await transaction.accounts.by_username(name)
