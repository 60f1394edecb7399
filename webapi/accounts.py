"""`/api/v1/users/…`: accounts, and what each has of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated

import email_validator
from aiohttp import web
from pydantic import BaseModel, ConfigDict, EmailStr, Field, StrictBool

from service.accounts import USERNAME, AccountChange, Accounts, NewAccount, Newcomer
from service.allowances import Allowance, Role
from service.errors import (
    AccountNotFound,
    ChatUnreachable,
    Forbidden,
    InvalidAccount,
    LastSuperuser,
    NameTaken,
    SetupCodeNeeded,
    TooManyTries,
)
from service.model import LOCAL_ACCOUNT, Account
from service.passwords import MIN_LENGTH
from webapi.auth import Caller, CallerKind, LocalTrust
from webapi.contract import ACCOUNTS, ALLOWED, SUPERUSERS, Access, Api, Reply
from webapi.parameters import WHOLE, Query
from webapi.problems import not_authenticated

MAX_PASSWORD = 4000
MAX_EMAIL = 254
"""As RFC 5321 has it."""


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


_NO_MAIL_THERE = "|".join(map(_any_case, email_validator.SPECIAL_USE_DOMAIN_NAMES))

# What the document says here beside its type is checked further in, where the message is one for people.
Password = Annotated[str, Field(max_length=MAX_PASSWORD, json_schema_extra={"format": "password", "minLength": MIN_LENGTH})]
Email = Annotated[EmailStr, Field(max_length=MAX_EMAIL, json_schema_extra={"pattern": rf"^(?!.*[@.](?:{_NO_MAIL_THERE})$)"})]
Username = Annotated[str, Field(min_length=1, max_length=64, json_schema_extra={"pattern": f"^{USERNAME.pattern}$"})]
BigId = Annotated[int, Field(ge=0, lt=2**63)]
Skip = Annotated[int, Field(ge=0, lt=2**31)]
Limit = Annotated[int, Field(ge=1, le=500)]


class UserView(BaseModel):
    """An account."""

    id: int
    email: str | None
    username: str
    is_active: bool
    is_superuser: bool


class QuotaView(BaseModel):
    """How much an account may do; null is without limit. A day is the last 24 hours."""

    model_config = ConfigDict(extra="forbid")

    jobs_a_day: Annotated[int, Field(ge=0, lt=2**31), WHOLE] | None = None
    at_once: Annotated[int, Field(ge=1, lt=2**31), WHOLE] | None = None
    bytes_a_day: Annotated[int, Field(ge=0, lt=2**62), WHOLE] | None = None
    stored_bytes: Annotated[int, Field(ge=0, lt=2**62), WHOLE] | None = None
    retention_days: Annotated[int, Field(ge=1, lt=2**31), WHOLE] | None = None


class ManagedUserView(UserView):
    """An account, as those see it who look after it."""

    role: Role
    quota: QuotaView = Field(description="What holds for it: its role's, with what is set for it alone")


class NewUser(BaseModel):
    """Somebody new. `setup_code` is only for the first user, from afar."""

    email: Email
    password: Password
    username: Username
    is_active: StrictBool = True
    is_superuser: StrictBool = False
    setup_code: Annotated[str, Field(max_length=200)] | None = None


class OwnChange(BaseModel):
    """What one may change of oneself; what is left out stays. Rights are for superusers."""

    email: Email | None = None
    password: Password | None = None
    username: Username | None = None
    is_active: StrictBool | None = None
    is_superuser: StrictBool | None = None


class UserChange(OwnChange):
    """What a superuser may change of an account; what is left out stays."""

    role: Role | None = None
    quota: QuotaView | None = Field(None, description="Set for this account alone; null in it is as its role has it")


class UsersEndpoints:
    """Accounts themselves."""

    def __init__(self, accounts: Accounts, *, forget: Callable[[Account], Awaitable[None]], machine: LocalTrust | None = None) -> None:
        """`forget` deletes an account; `machine` tells who sits at this machine, None where others reach the service directly."""
        self._accounts, self._forget, self._machine = accounts, forget, machine

    def register(self, api: Api) -> None:
        users = "/api/v1/users"
        faults = [InvalidAccount, NameTaken]
        first = Access(anonymous=ALLOWED, local=ALLOWED, owner=403, other=403, superuser=ALLOWED)
        api.route("POST", f"{users}/", access=first, tags=["Users"], faults=[*faults, Forbidden, SetupCodeNeeded, TooManyTries])(
            self.create_user
        )
        api.route("GET", f"{users}/", access=SUPERUSERS, tags=["Users"], answers={200: list[ManagedUserView]})(self.list_users)
        api.route("GET", f"{users}/me", access=ACCOUNTS, tags=["Users"])(self.get_me)
        api.route("PUT", f"{users}/me", access=replace(ACCOUNTS, local=403), tags=["Users"], faults=[*faults, Forbidden])(self.change_me)
        api.route("DELETE", f"{users}/me", access=replace(ACCOUNTS, local=403), tags=["Users"], faults=[LastSuperuser, ChatUnreachable])(
            self.delete_me
        )
        api.route("GET", f"{users}/{{user_id}}", access=SUPERUSERS, tags=["Users"], faults=[AccountNotFound])(self.get_user)
        api.route("PUT", f"{users}/{{user_id}}", access=SUPERUSERS, tags=["Users"], faults=[*faults, AccountNotFound, LastSuperuser])(
            self.change_user
        )

    async def create_user(self, request: web.Request, caller: Caller, new: NewUser) -> UserView:
        """Make an account.

        Superusers do. While nobody has a password, whoever is at this machine (or has the set-up code) makes the first
        account, which becomes a superuser.
        """
        first = None
        if caller.kind is CallerKind.ANONYMOUS:
            if not await self._accounts.needs_first_user():
                raise not_authenticated()
            is_here = self._machine is not None and await self._machine.covers(request)
            first = Newcomer(setup_code=new.setup_code, is_at_machine=is_here, address=caller.address)
        wanted = NewAccount(
            username=new.username, email=new.email, password=new.password, is_active=new.is_active, is_superuser=new.is_superuser
        )
        return shown(await self._accounts.create(caller.actor, wanted, first))

    async def list_users(self, skip: Annotated[Skip, Query()] = 0, limit: Annotated[Limit, Query()] = 100) -> Reply:
        """All accounts, by id."""
        found, count = await self._accounts.page(skip=skip, limit=limit)
        return Reply([managed(account) for account in found], headers={"X-Total-Count": str(count)})

    async def get_me(self, caller: Caller) -> UserView:
        """The account of whoever asks."""
        return shown(await self._own(caller))

    async def change_me(self, caller: Caller, change: OwnChange) -> UserView:
        """Change one's own name, address or password.

        A new password ends all logins.
        """
        own = await self._own(caller)
        if change.is_active is not None or change.is_superuser is not None:
            raise Forbidden
        wanted = AccountChange(username=change.username, email=change.email, password=change.password)
        return shown(await self._accounts.change(caller.actor, own.id, wanted))

    async def delete_me(self, caller: Caller) -> UserView:
        """Delete one's own account with all that belongs to it.

        Jobs end; files that nobody else has, keys, cookies, history and everything else go. It cannot be undone.
        """
        own = await self._own(caller)
        await self._forget(own)
        return shown(own)

    async def get_user(self, user_id: BigId) -> ManagedUserView:
        """One account."""
        return managed(await self._accounts.get(user_id))

    async def change_user(self, caller: Caller, user_id: BigId, change: UserChange) -> ManagedUserView:
        """Change an account, its rights and limits included.

        A new password or a block ends all its logins.
        """
        wanted = AccountChange(
            username=change.username,
            email=change.email,
            password=change.password,
            is_active=change.is_active,
            is_superuser=change.is_superuser,
            role=change.role,
            allowance=Allowance(**change.quota.model_dump()) if change.quota is not None else None,
        )
        return managed(await self._accounts.change(caller.actor, user_id, wanted))

    async def _own(self, caller: Caller) -> Account:
        return await self._accounts.get(caller.account_id if caller.account_id is not None else LOCAL_ACCOUNT)


def shown(account: Account) -> UserView:
    """As seed clients know it."""
    return UserView(
        id=account.id,
        email=account.email,
        username=account.username,
        is_active=account.is_active,
        is_superuser=account.is_superuser,
    )


def managed(account: Account) -> ManagedUserView:
    allowance = account.allowance
    quota = QuotaView(
        jobs_a_day=allowance.jobs_a_day,
        at_once=allowance.at_once,
        bytes_a_day=allowance.bytes_a_day,
        stored_bytes=allowance.stored_bytes,
        retention_days=allowance.retention_days,
    )
    return ManagedUserView(**shown(account).model_dump(), role=account.role, quota=quota)
