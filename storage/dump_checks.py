"""What the values of a dump have to mean. A state that nobody knows or an address that is none would have its form, and every answer
that shows it would fail; so they are refused while nothing has been stopped yet.

The conditions are SQL on a database with the present tables, one look at each table. Where the product has a reader of its own for
something, that reader decides.
"""
# ruff: noqa: S608 - the names in the statements are those of our own tables, and no value is in them

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from service.allowances import Allowance, Role
from service.audit import Act
from service.chat import CardState
from service.chat import DeliveryState as OnItsWay
from service.credentials import Scope
from service.errors import InvalidDump, MagpieError
from service.failing_sites import NAME as FAILING_SITES
from service.media_url import MAX_LENGTH, MediaUrl
from service.model import JobStatus, Origin, Outcome, Phase
from service.schedule import Schedule, zone_of
from service.selection import Clip, MediaType, Selection
from service.settings import NAME as SETTINGS
from service.settings import settings_from
from service.watched import ItemKind, ItemState, Link, LinkFilters, LinkState, LinkType, Telling
from service.webhooks import PREFIX
from service.webhooks import DeliveryState as MessageState
from storage.cards import read as read_description
from storage.sealed import SEALED
from storage.tables import BIG_ID, UtcDateTime, metadata

HIGHEST: Final = 2**30
"""Nothing that is counted came so far. An epoch rises by one, or to the minutes since 1970."""
MOST_ROWS: Final = 2**53
"""Numbers of rows go on behind the highest."""
_PLAIN: Final = re.compile(r"https?://[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,20}(?::[0-9]{1,4})?/[A-Za-z0-9%:@!$&()*+,;=~._/?-]*")
"""Surely an address: most are, and to read one takes ten times as long."""
_SUMMED: Final = {"charges": "bytes", "media_files": "size"}
_MOST: Final = 2**62
"""Of what is added up."""


# --- what the product reads ---------------------------------------------------------------------------------------------


def _is_address(text: str) -> bool:
    if len(text) <= MAX_LENGTH and "__" not in text and _PLAIN.fullmatch(text):
        return True
    return bool(MediaUrl.parse(text))


def _is_address_or_sealed(text: str) -> bool:
    return text.startswith(SEALED) or _is_address(text)


def _is_selection(key: str) -> bool:
    return Selection.from_key(key).key == key


def _is_clip(key: str) -> bool:
    return Clip.from_key(key).key == key


def _is_description(text: str) -> bool:
    if text.startswith(SEALED):
        return True
    told = read_description(text)
    names = (told.title, told.artist or "", told.extractor, told.id, *told.languages, *(item.title or "" for item in told.items))
    return all(isinstance(name, str) for name in names)


def _is_folded(text: str | None, key: str | None) -> bool:
    return key == (None if text is None else text.casefold())


def _is_allowance(text: str) -> bool:
    told = json.loads(text)
    known = {field.name for field in fields(Allowance)}
    return told.keys() <= known and all(type(value) is int and 0 <= value < _MOST for value in told.values())


def _is_link(name: str, tags: str, keep_last: int | None) -> bool:
    never = datetime.fromtimestamp(0, UTC)
    link = Link(
        id=0,
        account_id=0,
        url=MediaUrl.parse("https://example.com/"),
        name=name,
        tags=tuple(_texts(tags)),
        keep_last=keep_last,
        selection=Selection.of(),
        state_since=never,
        created_at=never,
    )
    return bool(link)


def _is_filter(text: str) -> bool:
    told = json.loads(text)
    read = LinkFilters.from_json(told)
    numbers = (read.min_duration, read.max_duration, read.newest)
    is_typed = isinstance(read.title, str | None) and all(type(number) in {int, type(None)} for number in numbers)
    return is_typed and len(read.kinds) <= len(ItemKind)


def _is_schedule(text: str | None, zone: str) -> bool:
    return bool(zone_of(zone) if text is None else Schedule.parse(text, zone))


def _texts(text: str) -> list[str]:
    told = json.loads(text)
    if not isinstance(told, list):
        raise TypeError
    for one in told:
        one.encode()  # half a character of two cannot be written into an answer
    return told


def _are_texts(text: str) -> bool:
    return _texts(text) is not None


def _are_jobs(text: str) -> bool:
    return all(UUID(one) for one in _texts(text))


def _is_secret(text: str) -> bool:
    return text.startswith(SEALED) or base64.b64decode(text.removeprefix(PREFIX), validate=True) is not None


def _is_kept(name: str, text: str) -> bool:
    """Others are words that are compared, and so of any form."""
    if name == SETTINGS:
        return bool(settings_from(text))
    if name == FAILING_SITES:
        return all(_texts(json.dumps(hosts)) is not None for hosts in json.loads(text).values())
    return True


_READERS: Final[Mapping[str, tuple[int, Callable[..., bool]]]] = {
    "is_address": (1, _is_address),
    "is_address_or_sealed": (1, _is_address_or_sealed),
    "is_selection": (1, _is_selection),
    "is_clip": (1, _is_clip),
    "is_description": (1, _is_description),
    "is_folded": (2, _is_folded),
    "is_allowance": (1, _is_allowance),
    "is_link": (3, _is_link),
    "is_filter": (1, _is_filter),
    "is_schedule": (2, _is_schedule),
    "are_texts": (1, _are_texts),
    "are_jobs": (1, _are_jobs),
    "is_secret": (1, _is_secret),
    "is_kept": (2, _is_kept),
}


def _decides(reader: Callable[..., bool]) -> Callable[..., bool]:
    def holds(*values: Any) -> bool:
        try:
            return reader(*values)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, MagpieError):
            return False

    return holds


# --- the conditions -----------------------------------------------------------------------------------------------------


def _in(kinds: type[StrEnum]) -> str:
    return f"{{}} IN ({', '.join(repr(kind.value) for kind in kinds)})"


_INSIDE: Final = "{} GLOB '*[^./]*' AND {} NOT GLOB '/*' AND '/' || {} || '/' NOT GLOB '*/../*'"
_ADDRESS, _SELECTION, _NEXT = "is_address_or_sealed({})", "is_selection({})", f"{{}} BETWEEN 0 AND {HIGHEST}"

CHECKS: Final[Mapping[str, str]] = {
    "accounts.username_key": "is_folded(username, {})",
    "accounts.email_key": "is_folded(email, {})",
    "accounts.role": _in(Role),
    "accounts.allowance": "is_allowance({})",
    "accounts.token_epoch": _NEXT,
    "download_sessions.created_by": _in(Origin),
    "links.url": _ADDRESS,
    "links.name": "is_link({}, '[]', NULL)",
    "links.type": _in(LinkType),
    "links.tags": "is_link('x', {}, NULL)",
    "links.schedule": "is_schedule({}, 'UTC')",
    "links.timezone": "is_schedule(NULL, {})",
    "links.filters": "is_filter({})",
    "links.keep_last": "is_link('x', '[]', {})",
    "links.selection": _SELECTION,
    "links.telling": _in(Telling),
    "links.callback_url": _ADDRESS,
    "links.state": _in(LinkState),
    "links.failures": _NEXT,
    "links.feed_epoch": _NEXT,
    "link_items.state": _in(ItemState),
    "link_items.url": _ADDRESS,
    "link_items.tries": _NEXT,
    "link_items.entries": "are_texts({})",
    "jobs.origin": _in(Origin),
    "jobs.url": _ADDRESS,
    "jobs.selection": _SELECTION,
    "jobs.callback_url": _ADDRESS,
    "jobs.status": _in(JobStatus),
    "jobs.attempt": _NEXT,
    "jobs.starts": _NEXT,
    "jobs.seq": _NEXT,
    "jobs.phase": _in(Phase),
    "media_files.kind": _in(MediaType),
    "media_files.size": "{} >= 0",
    "media_files.sha256": "length({}) = 64 AND {} NOT GLOB '*[^0-9a-f]*'",  # it becomes a header
    "media_files.duration_ms": f"{{}} BETWEEN 0 AND {86_400_000 * 999_999_999}",
    "job_files.name": "{} NOT IN ('', '.', '..') AND instr({}, '/') = 0",
    "job_files.path": _INSIDE,
    "job_files.epoch": _NEXT,
    "history_entries.origin": _in(Origin),
    "history_entries.outcome": _in(Outcome),
    "history_entries.url": "is_address({})",
    "history_entries.files": "are_texts({})",
    "idempotency_keys.more_job_ids": "are_jobs({})",
    "kept_values.value": "is_kept(name, {})",
    "api_keys.scope": _in(Scope),
    "webhooks.url": _ADDRESS,
    "webhooks.secret": "is_secret({})",
    "webhook_messages.url": _ADDRESS,
    "webhook_messages.state": _in(MessageState),
    "charges.bytes": "{} >= 0",
    "audit_entries.action": _in(Act),
    "preferences.selection": _SELECTION,
    "cards.url": _ADDRESS,
    "cards.clip": "is_clip({})",
    "cards.state": _in(CardState),
    "cards.description": "is_description({})",
    "deliveries.state": _in(OnItsWay),
    "deliveries.tries": _NEXT,
    "telegram_copies.kind": "{} IN ('video', 'audio', 'photo', 'document', 'animation')",
}
"""By `table.column`, what holds for every value that is not NULL, in addition to what its type says."""
COUNTED: Final = frozenset(name for name, condition in CHECKS.items() if condition == _NEXT)
"""Columns that are counted on from what they hold."""
LATE: Final = frozenset({"links.cookies_until"})
"""Times that somebody else said: the end of the calendar, maybe."""


def _by_type(table: sa.Table, column: sa.Column[Any]) -> str | None:
    """What PostgreSQL would refuse in the middle of the swap, and what could not be counted with."""
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return f"{{}} BETWEEN '1970-01-01' AND '{'9999-12-32' if f'{table.name}.{column.name}' in LATE else '9000-01-01'}'"
    if isinstance(kind, sa.String) and kind.length is not None:
        return f"length({{}}) <= {kind.length}"
    if isinstance(kind, sa.Integer) and not isinstance(kind, sa.BigInteger):
        return "{} BETWEEN 0 AND 2147483647"
    if kind is BIG_ID and not column.foreign_keys:
        return f"{{}} BETWEEN 0 AND {MOST_ROWS}"
    return None


def doubts_of(table: sa.Table) -> Iterator[tuple[str, str]]:
    """Columns, each with an SQL condition that is true of a value that means nothing."""
    for column in table.columns:
        for condition in (_by_type(table, column), CHECKS.get(f"{table.name}.{column.name}")):
            if condition is not None:
                name = f"{table.name}.{column.name}"
                yield column.name, f"({name} IS NOT NULL AND NOT coalesce({condition.replace('{}', name)}, 0))"


def check_meaning(connection: sqlite3.Connection) -> None:
    """Of a database with the present tables. Raises `InvalidDump`, which names the column."""
    for name, (count, reader) in _READERS.items():
        connection.create_function(name, count, _decides(reader), deterministic=True)
    for table in metadata.sorted_tables:
        doubts = list(doubts_of(table))
        if not doubts or not _has(connection, table.name, " OR ".join(doubt for _, doubt in doubts)):
            continue
        for column, doubt in doubts:
            if _has(connection, table.name, doubt):
                raise InvalidDump(f"A value of {table.name}.{column} means nothing that Magpie knows, or is too long or too large.")
    for name, column in _SUMMED.items():
        (total,) = connection.execute(f"SELECT total({column}) FROM {name}").fetchone()
        if total >= _MOST:
            raise InvalidDump(f"The values of {name}.{column} are too large together.")


def _has(connection: sqlite3.Connection, table: str, doubt: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} WHERE {doubt} LIMIT 1").fetchone() is not None
