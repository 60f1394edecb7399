"""Who talks to the bot: a Telegram identity gets an account at first contact, if it may use the bot at all."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace

from service.chat import Member, Place, Preferences, TelegramUser
from service.errors import Blocked, Conflict, NotInvited
from service.model import LOCAL_ACCOUNT, Account, DownloadSession, Origin
from service.ports import Clock, Database, Ids, Transaction

OWNER_LINK = "owner_link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody, as Telegram names them in a message."""

    id: int
    first_name: str
    username: str | None = None
    language_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who may use the bot: Telegram ids. `local_user` is the one of the built-in chat."""

    admins: frozenset[int] = frozenset()
    users: frozenset[int] = frozenset()
    chats: frozenset[int] = frozenset()
    open_to_all: bool = False
    local_user: int | None = None

    @property
    def names_nobody(self) -> bool:
        return not (self.admins or self.users or self.chats or self.open_to_all or self.local_user is not None)

    def admits(self, telegram_id: int, place: Place) -> bool:
        by_name = telegram_id in self.admins | self.users or telegram_id == self.local_user
        return self.open_to_all or by_name or place.chat_id in self.chats


class Members:
    """Those who may use the bot."""

    def __init__(self, *, database: Database, clock: Clock, ids: Ids, admission: Admission) -> None:
        self._database, self._clock, self._ids, self._admission = database, clock, ids, admission

    async def welcome(self, person: Person, place: Place) -> Member:
        """Who this is; an account is made at first contact. Raises `NotInvited`, `Blocked`."""
        async with self._database.read() as transaction:
            user = await transaction.telegram_users.get(person.id)
            member = await self._member(transaction, user) if user else None
        if not (member and member.is_admin) and not self._admission.admits(person.id, place):
            raise NotInvited
        if member is None:
            member = await self._met(person)
        elif (known := _named(member.user, person)) != member.user:
            async with self._database.write() as transaction:
                await transaction.telegram_users.save(known)
            member = replace(member, user=known)
        if not member.account.is_active:
            raise Blocked
        return member

    async def _met(self, person: Person) -> Member:
        """For the first time; somebody who writes in two chats at once is met once."""
        try:
            async with self._database.write() as transaction:
                return await self._first_contact(transaction, person)
        except Conflict:  # the other one has committed by now
            async with self._database.write() as transaction:
                return await self._first_contact(transaction, person)

    def surely_admits(self, person: Person, place: Place) -> bool:
        """Whether the settings alone let them in: known without a look into the database."""
        return self._admission.admits(person.id, place)

    async def of_account(self, account_id: int, telegram_id: int | None = None) -> Member | None:
        """This one of its Telegram identities; the first, when that is none of them. None where nobody is left."""
        async with self._database.read() as transaction:
            users = await transaction.telegram_users.of_account(account_id)
            account = await transaction.accounts.get(account_id)
            if not users or account is None:
                return None
            user = next((one for one in users if one.id == telegram_id), users[0])
            return await self._with(transaction, user, account)

    async def is_blocked(self, account_id: int) -> bool:
        async with self._database.read() as transaction:
            account = await transaction.accounts.get(account_id)
        return account is not None and not account.is_active

    async def prefer(self, member: Member, preferences: Preferences) -> Member:
        async with self._database.write() as transaction:
            await transaction.preferences.put(member.account.id, preferences)
        return replace(member, preferences=preferences)

    async def administrators(self) -> list[Member]:
        """Those who look after the service and have talked to the bot: to others it cannot say anything."""
        async with self._database.read() as transaction:
            users = await transaction.telegram_users.of_administrators(self._admission.admins)
            return [await self._member(transaction, user) for user in users]

    # --- the owner ------------------------------------------------------------------------------------------------

    async def new_owner_token(self) -> str | None:
        """What makes whoever shows it first the administrator; None where somebody may use the bot already."""
        token = secrets.token_urlsafe(24)
        async with self._database.write() as transaction:
            if not await self._is_unowned(transaction):
                if (old := await transaction.kept_values.get(OWNER_LINK)) is not None:
                    await transaction.kept_values.remove(OWNER_LINK, old)  # printed once, and not needed any more
                return None
            await transaction.kept_values.put(OWNER_LINK, _digest(token))
        return token

    async def own(self, person: Person, token: str) -> Member:
        """Raises `NotInvited` for a token that is wrong or was used: one person can use it, once."""
        try:
            return await self._own(person, token)
        except Conflict:  # they wrote something else in the same moment: by now they are known
            return await self._own(person, token)

    async def _own(self, person: Person, token: str) -> Member:
        async with self._database.write() as transaction:
            if not await self._is_unowned(transaction) or not await transaction.kept_values.remove(OWNER_LINK, _digest(token)):
                raise NotInvited
            user = await transaction.telegram_users.get(person.id)
            member = await self._member(transaction, user) if user else await self._first_contact(transaction, person)
            await transaction.accounts.make_superuser(member.account.id)
        return replace(member, is_admin=True, account=replace(member.account, is_superuser=True))

    async def _is_unowned(self, transaction: Transaction) -> bool:
        return self._admission.names_nobody and not await transaction.accounts.has_superuser()

    # --- parts ----------------------------------------------------------------------------------------------------

    async def _first_contact(self, transaction: Transaction, person: Person) -> Member:
        if known := await transaction.telegram_users.get(person.id):  # two messages at once
            return await self._member(transaction, known)
        account = await self._account(transaction, person)
        now = self._clock.now()
        session_id = self._ids.new()
        user = TelegramUser(
            id=person.id,
            account_id=account.id,
            first_name=person.first_name,
            username=person.username,
            language_code=person.language_code,
            download_session_id=session_id,
            created_at=now,
        )
        await transaction.download_sessions.add(
            DownloadSession(
                id=session_id, folder=session_id, owner_id=account.id, created_by=Origin.CHAT, created_at=now, last_activity=now
            )
        )
        if not await transaction.telegram_users.add(user):
            raise Conflict("Somebody met them in this moment.")
        return await self._member(transaction, user)

    async def _account(self, transaction: Transaction, person: Person) -> Account:
        if person.id == self._admission.local_user:
            local = await transaction.accounts.get(LOCAL_ACCOUNT)
            assert local is not None, "it is made with the tables"
            return local
        name, number = f"tg-{person.id}", 1
        while await transaction.accounts.by_username(name):  # of an account that they have left
            number += 1
            name = f"tg-{person.id}-{number}"
        return await transaction.accounts.add(name, self._clock.now(), made_for=person.id)

    async def _member(self, transaction: Transaction, user: TelegramUser) -> Member:
        account = await transaction.accounts.get(user.account_id)
        assert account is not None, "an identity goes together with its account"
        return await self._with(transaction, user, account)

    async def _with(self, transaction: Transaction, user: TelegramUser, account: Account) -> Member:
        preferences = await transaction.preferences.get(account.id)
        is_admin = user.id in self._admission.admins or account.is_superuser
        return Member(user=user, account=account, preferences=preferences, is_admin=is_admin)


def _named(user: TelegramUser, person: Person) -> TelegramUser:
    return replace(user, first_name=person.first_name, username=person.username, language_code=person.language_code)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
