"""Sites' cookies in the database, encrypted."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.cookies import SiteCookies
from service.ports import Vault
from storage.fetches import insert
from storage.sealed import Sealing
from storage.tables import site_cookies


class SqlSiteCookies:
    def __init__(self, connection: AsyncConnection, vault: Vault | None) -> None:
        self._connection, self._sealing = connection, Sealing(vault)

    async def put(self, account_id: int, site: str, content: str, now: datetime) -> None:
        values = {"content": self._sealing.seal(content), "created_at": now}
        await self._connection.execute(
            insert(self._connection, site_cookies)
            .values(account_id=account_id, site=site, **values)
            .on_conflict_do_update(index_elements=["account_id", "site"], set_=values)
        )

    async def of_account(self, account_id: int) -> list[SiteCookies]:
        """By site, without their content."""
        columns = site_cookies.c.site, site_cookies.c.created_at
        found = await self._connection.execute(
            sa.select(*columns).where(site_cookies.c.account_id == account_id).order_by(site_cookies.c.site)
        )
        return [SiteCookies(site=row.site, created_at=row.created_at) for row in found]

    async def content_of(self, account_id: int, site: str) -> str | None:
        found = await self._connection.execute(
            sa.select(site_cookies.c.content).where(site_cookies.c.account_id == account_id, site_cookies.c.site == site)
        )
        sealed = found.scalar_one_or_none()
        return None if sealed is None else self._sealing.open(sealed)

    async def remove(self, account_id: int, site: str) -> bool:
        gone = await self._connection.execute(
            sa.delete(site_cookies).where(site_cookies.c.account_id == account_id, site_cookies.c.site == site)
        )
        return gone.rowcount == 1
