"""Accounts in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.allowances import UNLIMITED, Allowance, Role
from service.errors import NameTaken
from service.model import LOCAL_ACCOUNT, Account
from storage.fetches import insert
from storage.tables import accounts

RIGHTS_LOCK = 0x6D61_6770_6166


class SqlAccounts:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock_rights(self) -> None:
        """Nobody else decides who is the first, or the last, superuser until the transaction ends. SQLite has one writer anyway."""
        if self._connection.dialect.name == "postgresql":
            await self._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(RIGHTS_LOCK)))

    async def get(self, account_id: int) -> Account | None:
        return await self._one(accounts.c.id == account_id)

    async def locked(self, account_id: int) -> Account | None:
        return await self._one(accounts.c.id == account_id, lock=True)

    async def by_username(self, username: str) -> Account | None:
        """Case makes no difference."""
        return await self._one(accounts.c.username_key == username.casefold())

    async def by_email(self, email: str) -> Account | None:
        return await self._one(accounts.c.email_key == email.casefold())

    async def page(self, *, skip: int = 0, limit: int = 100) -> tuple[list[Account], int]:
        people = accounts.c.id != LOCAL_ACCOUNT
        found = await self._connection.execute(sa.select(accounts).where(people).order_by(accounts.c.id).offset(skip).limit(limit))
        counted = await self._connection.execute(sa.select(sa.func.count()).select_from(accounts).where(people))
        return [_account(row) for row in found], int(counted.scalar_one())

    async def add(
        self,
        username: str,
        now: datetime,
        *,
        email: str | None = None,
        password_hash: str | None = None,
        is_active: bool = True,
        is_superuser: bool = False,
        made_for: int | None = None,
    ) -> Account:
        """Raises `NameTaken` when the name or the address is."""
        added = await self._connection.execute(
            insert(self._connection, accounts)
            .values(
                username=username,
                username_key=username.casefold(),
                email=email,
                email_key=email.casefold() if email else None,
                password_hash=password_hash,
                is_active=is_active,
                is_superuser=is_superuser,
                role=Role.USER.value,
                made_for=made_for,
                token_epoch=0,
                created_at=now,
            )
            .on_conflict_do_nothing()
            .returning(accounts)
        )
        if (row := added.one_or_none()) is None:
            raise NameTaken
        return _account(row)

    async def save(self, account: Account) -> None:
        """All but the password. Raises `NameTaken` when the name or the address is."""
        others = accounts.c.id != account.id
        keys = [accounts.c.username_key == account.username.casefold()]
        if account.email:
            keys.append(accounts.c.email_key == account.email.casefold())
        if await self._exists(others, sa.or_(*keys)):
            raise NameTaken
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(sa.update(accounts).where(accounts.c.id == account.id).values(**_state(account)))
        except sa.exc.IntegrityError:  # somebody else took it in this moment (PostgreSQL)
            raise NameTaken from None

    async def password_hash_of(self, account_id: int) -> str | None:
        found = await self._connection.execute(sa.select(accounts.c.password_hash).where(accounts.c.id == account_id))
        return found.scalar_one_or_none()

    async def set_password_hash(self, account_id: int, password_hash: str) -> None:
        await self._connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(password_hash=password_hash))

    async def make_superuser(self, account_id: int) -> None:
        await self._connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(is_superuser=True))

    async def has_superuser(self, *, besides: Sequence[int] = (), active: bool = False) -> bool:
        """Apart from the built-in account."""
        only_active = [accounts.c.is_active, ~accounts.c.is_leaving] if active else []
        return await self._exists(accounts.c.is_superuser, accounts.c.id.not_in([LOCAL_ACCOUNT, *besides]), *only_active)

    async def has_password(self) -> bool:
        """Whether anybody could log in."""
        return await self._exists(accounts.c.password_hash.is_not(None))

    async def leave(self, account_id: int) -> None:
        await self._connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(is_leaving=True))

    async def leaving(self) -> list[Account]:
        found = await self._connection.execute(sa.select(accounts).where(accounts.c.is_leaving).order_by(accounts.c.id))
        return [_account(row) for row in found]

    async def remove(self, account_id: int) -> None:
        """With all that belongs to it."""
        await self._connection.execute(sa.delete(accounts).where(accounts.c.id == account_id))

    async def _exists(self, *conditions: sa.ColumnElement[bool]) -> bool:
        return bool((await self._connection.execute(sa.select(sa.exists().where(*conditions)))).scalar_one())

    async def _one(self, condition: sa.ColumnElement[bool], *, lock: bool = False) -> Account | None:
        query = sa.select(accounts).where(condition)
        row = (await self._connection.execute(query.with_for_update(key_share=True) if lock else query)).one_or_none()
        return _account(row) if row else None


def _state(account: Account) -> dict[str, Any]:
    own = {name: value for name, value in asdict(account.own_allowance).items() if value is not None}
    return {
        "username": account.username,
        "username_key": account.username.casefold(),
        "email": account.email,
        "email_key": account.email.casefold() if account.email else None,
        "is_active": account.is_active,
        "is_superuser": account.is_superuser,
        "role": account.role.value,
        "made_for": account.made_for,
        "allowance": own or None,
        "token_epoch": account.token_epoch,
    }


def _account(row: Any) -> Account:
    return Account(
        id=row.id,
        username=row.username,
        email=row.email,
        is_active=row.is_active,
        is_superuser=row.is_superuser,
        role=Role(row.role),
        own_allowance=Allowance(**row.allowance) if row.allowance else UNLIMITED,
        has_password=row.password_hash is not None,
        made_for=row.made_for,
        is_leaving=row.is_leaving,
        token_epoch=row.token_epoch,
        created_at=row.created_at,
    )
