"""The audit trail in the database."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.audit import Act, AuditEntry
from storage.tables import audit_entries


class SqlAudit:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, entry: AuditEntry) -> None:
        values = {name: value for name, value in asdict(entry).items() if name != "id"}
        await self._connection.execute(sa.insert(audit_entries).values(**{**values, "action": entry.action.value}))

    async def page(self, *, skip: int = 0, limit: int = 100) -> tuple[list[AuditEntry], int]:
        """Newest first, and how many there are."""
        found = await self._connection.execute(sa.select(audit_entries).order_by(audit_entries.c.id.desc()).offset(skip).limit(limit))
        counted = await self._connection.execute(sa.select(sa.func.count()).select_from(audit_entries))
        return [_entry(row) for row in found], int(counted.scalar_one())

    async def of_account(self, account_id: int) -> list[AuditEntry]:
        """What it did, and what was done to it."""
        about = sa.or_(audit_entries.c.account_id == account_id, audit_entries.c.subject_id == account_id)
        return [_entry(row) for row in await self._connection.execute(sa.select(audit_entries).where(about).order_by(audit_entries.c.id))]

    async def forget(self, account_id: int) -> None:
        """What was done to it goes; of what it did to others its name goes, and the act stays."""
        await self._connection.execute(sa.delete(audit_entries).where(audit_entries.c.subject_id == account_id))
        own = audit_entries.c.account_id == account_id
        await self._connection.execute(sa.delete(audit_entries).where(own, audit_entries.c.subject_id.is_(None)))
        await self._connection.execute(sa.update(audit_entries).where(own).values(account_id=None))


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(**{**row._mapping, "action": Act(row.action)})  # noqa: SLF001 - SQLAlchemy's public name
