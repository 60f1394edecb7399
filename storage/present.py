"""What the running database says that an import has to heed: read once everything stands still, since much may have changed while the
dump was looked through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.backup import Importer
from storage.accounts import account_of
from storage.tables import accounts, job_files, links

_LAST_LINK = {
    "sqlite": "SELECT max(seq) FROM sqlite_sequence WHERE name = 'links'",
    "postgresql": "SELECT pg_sequence_last_value(pg_get_serial_sequence('links', 'id')::regclass)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentFeed:
    """Whose link it is, what it watches, and the epoch that its feed's address is signed with."""

    account_id: int
    username_key: str
    url_digest: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """`importer` is who imports as they are now; `last_link` the highest number that a link ever had here."""

    importer: Importer = field(default_factory=Importer)
    last_link: int = 0
    feeds: Mapping[int, PresentFeed] = field(default_factory=dict)
    files: Sequence[tuple[str, str, int]] = ()
    """Those of which links were revoked: job, name and epoch."""


async def read_present(connection: AsyncConnection, importer: Importer) -> Present:
    last_link = (await connection.execute(sa.text(_LAST_LINK[connection.dialect.name]))).scalar_one_or_none()
    feeds = sa.select(links.c.id, links.c.account_id, accounts.c.username_key, links.c.url_digest, links.c.feed_epoch).join(
        accounts, accounts.c.id == links.c.account_id
    )
    files = sa.select(job_files.c.job_id, job_files.c.name, job_files.c.epoch).where(job_files.c.epoch > 0)
    return Present(
        importer=await _now(connection, importer),
        last_link=last_link or 0,
        feeds={
            row.id: PresentFeed(account_id=row.account_id, username_key=row.username_key, url_digest=row.url_digest, epoch=row.feed_epoch)
            for row in await connection.execute(feeds)
        },
        files=[(row.job_id.hex, row.name, row.epoch) for row in await connection.execute(files)],
    )


async def _now(connection: AsyncConnection, importer: Importer) -> Importer:
    """An account that is not there any more is as one that is blocked."""
    if importer.account is None:
        return importer
    row = (await connection.execute(sa.select(accounts).where(accounts.c.id == importer.account.id))).one_or_none()
    present = replace(importer.account, is_active=False) if row is None else account_of(row)
    return replace(importer, account=present)
