"""Dumps: the text that a backup is, and how it is written. docs/backup.md describes the format; `dump_reading` reads it.

The database itself makes the lines: on 200,000 rows that is an order of magnitude faster than Python, and the same statement for
each table keeps the format in one place. What it may consist of is literals only, so that a dump can be read without executing it.
"""
# ruff: noqa: S608 - the names in the statements are those of our own tables, and no value is in them

from __future__ import annotations

import base64
import hashlib
import json
import math
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from storage.tables import metadata

FORMAT = 1
FIRST_WORDS = "-- magpie dump "
AT_ONCE = 500
"""Rows that are fetched in one go."""
MOST_GENERATIONS = 50
_SQLITE = sqlite.dialect()


class Kind(StrEnum):
    """What a column holds, as far as its literals differ."""

    INTEGER = "whole number"
    REAL = "number"
    BOOLEAN = "TRUE or FALSE"
    TEXT = "text"
    TIME = "time in UTC"
    UUID = "UUID of 32 hexadecimal digits"
    JSON = "JSON"
    BYTES = "base64 text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """A table as a dump shows it. `parent`: the column that names another row of the same table, which has to come first."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    parent: str | None = None

    @property
    def prefix(self) -> str:
        return f"INSERT INTO {self.name} ({', '.join(column.name for column in self.columns)}) VALUES ("


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a dump says of itself in its first line. `key` is the fingerprint of the key that its secrets are encrypted with."""

    revision: str
    key: str
    made_at: datetime
    version: str

    def line(self) -> str:
        said = {
            "format": FORMAT,
            "revision": self.revision,
            "key": self.key,
            "made_at": self.made_at.isoformat(),
            "version": self.version,
        }
        return f"{FIRST_WORDS}{json.dumps(said)}\n"


def kind_of(declared: str) -> Kind:
    """From a column's type as SQLite has it declared. Raises `ValueError` for one that is not ours."""
    plain = declared.upper().partition("(")[0]
    if declared.upper() == "CHAR(32)":
        return Kind.UUID
    try:
        return {
            "INTEGER": Kind.INTEGER,
            "BIGINT": Kind.INTEGER,
            "DOUBLE": Kind.REAL,
            "FLOAT": Kind.REAL,
            "BOOLEAN": Kind.BOOLEAN,
            "VARCHAR": Kind.TEXT,
            "TEXT": Kind.TEXT,
            "DATETIME": Kind.TIME,
            "JSON": Kind.JSON,
            "BLOB": Kind.BYTES,
        }[plain]
    except KeyError:
        raise ValueError(f"no literals are defined for columns of type {declared}") from None


def shapes() -> list[TableShape]:
    """All tables of this version, those that others refer to first."""
    return [_shape(table) for table in metadata.sorted_tables]


def _shape(table: sa.Table) -> TableShape:
    columns = tuple(Column(name=column.name, kind=kind_of(column.type.compile(_SQLITE))) for column in table.columns)
    own = [key.parent.name for key in table.foreign_keys if key.column.table is table]
    keys = tuple(column.name for column in table.primary_key.columns)
    return TableShape(name=table.name, columns=columns, key=keys, parent=own[0] if own else None)


class _Lines:
    """Counts rows, and sums up every byte before the last line."""

    def __init__(self) -> None:
        self._digest, self.rows = hashlib.sha256(), 0

    def said(self, text: str) -> bytes:
        piece = text.encode()
        self._digest.update(piece)
        return piece

    def some(self, rows: Sequence[Any]) -> bytes:
        self.rows += len(rows)
        return self.said("".join([row[0] for row in rows]))

    def end(self) -> bytes:
        return f"-- end {self.rows} {self._digest.hexdigest()}\n".encode()


def _levels(table: TableShape, row: str) -> Iterator[str]:
    """Queries for a table's rows: where rows name others of the same table, one query a generation, until one finds nothing."""
    order = ", ".join(f"t.{name}" for name in table.key)
    if table.parent is None:
        yield f"SELECT {row} FROM {table.name} t ORDER BY {order}"
        return
    joins, last = "", "t"
    for depth in range(MOST_GENERATIONS):
        yield f"SELECT {row} FROM {table.name} t{joins} WHERE {last}.{table.parent} IS NULL ORDER BY {order}"
        joins += f" JOIN {table.name} p{depth} ON p{depth}.id = {last}.{table.parent}"
        last = f"p{depth}"


# --- SQLite -----------------------------------------------------------------------------------------------------------


def sqlite_dump(connection: sqlite3.Connection, header: Header) -> Iterator[bytes]:
    """Within the transaction that the connection is in, or one of its own for reading."""
    connection.create_function("base64_of", 1, _base64, deterministic=True)
    connection.create_function("without_nul", 1, _without_nul, deterministic=True)
    connection.create_function("sound_json", 1, _sound_json, deterministic=True)
    lines, began = _Lines(), not connection.in_transaction
    yield lines.said(header.line())
    if began:
        connection.execute("BEGIN")
    try:
        for table in shapes():
            (count,) = connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()
            yield lines.said(f"-- table {table.name} {count}\n")
            for query in _levels(table, _sqlite_row(table)):
                found, before = connection.execute(query), lines.rows
                while rows := found.fetchmany(AT_ONCE):
                    yield lines.some(rows)
                if lines.rows == before:
                    break
    finally:
        if began:
            connection.execute("ROLLBACK")
    yield lines.end()


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _without_nul(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _sound_json(text: str) -> str:
    """Without the numbers that only Python knows."""
    return json.dumps(json.loads(text, parse_constant=lambda _: None, parse_float=_finite))


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _sqlite_row(table: TableShape) -> str:
    """One call that writes the whole row: a chain of `||` would copy what it has with each of its links."""
    literals = [_sqlite_literal(column) for column in table.columns]
    form = ", ".join(form for form, _ in literals)
    return f"printf('{table.prefix}{form});%s', {', '.join(value for _, value in literals)}, char(10))"


_SOUND = {
    Kind.TEXT: "CASE WHEN instr({0}, char(0)) THEN without_nul({0}) ELSE {0} END",
    Kind.JSON: "CASE WHEN {0} IS NULL OR json_valid({0}) THEN {0} ELSE sound_json({0}) END",
}
"""A dump has no way to say NUL, at which a text would end, and JSON none for numbers without end."""


def _sqlite_literal(column: Column) -> tuple[str, str]:
    """A conversion of `printf` and what it converts; `%Q` is a text's literal, or NULL."""
    name = f"t.{column.name}"
    match column.kind:
        case Kind.INTEGER:
            return "%s", f"ifnull({name}, 'NULL')"
        case Kind.BOOLEAN:
            return "%s", f"CASE {name} WHEN 1 THEN 'TRUE' WHEN 0 THEN 'FALSE' ELSE 'NULL' END"
        case Kind.REAL:  # an infinite one cannot be said
            whole = f"abs({name}) < 1e15 AND {name} = CAST({name} AS INTEGER) THEN CAST({name} AS INTEGER)"
            return "%s", f"CASE WHEN {whole} WHEN abs({name}) <= {sys.float_info.max!r} THEN quote({name}) ELSE 'NULL' END"
        case Kind.TIME:
            return "%Q", f"{name} || substr('.000000', length({name}) - 18) || '+00:00'"
        case Kind.BYTES:
            return "%Q", f"base64_of({name})"
        case _:
            return "%Q", _SOUND.get(column.kind, "{0}").format(name)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


async def postgres_dump(connection: Any, header: Header) -> AsyncIterator[bytes]:
    """`connection` is asyncpg's, in a transaction in which every statement sees the same."""
    lines = _Lines()
    yield lines.said(header.line())
    for table in shapes():
        count = await connection.fetchval(f"SELECT count(*) FROM {table.name}")
        yield lines.said(f"-- table {table.name} {count}\n")
        for query in _levels(table, _postgres_row(table)):
            before = lines.rows
            await connection.execute(f"DECLARE dump NO SCROLL CURSOR FOR {query}")
            while rows := await connection.fetch(f"FETCH {AT_ONCE} FROM dump"):
                yield lines.some(rows)
            await connection.execute("CLOSE dump")  # by name: an open one would keep its table from being emptied
            if lines.rows == before:
                break
    yield lines.end()


def _postgres_row(table: TableShape) -> str:
    return f"'{table.prefix}' || concat_ws(', ', {', '.join(map(_postgres_literal, table.columns))}) || ');' || chr(10)"


def _postgres_literal(column: Column) -> str:
    name = f"t.{column.name}"
    match column.kind:
        case Kind.INTEGER:
            said = f"{name}::text"
        case Kind.BOOLEAN:
            said = f"upper({name}::text)"
        case Kind.REAL:
            said = f"CASE WHEN abs({name}) <= {sys.float_info.max!r} THEN {name}::text END"
        case Kind.TIME:
            said = f"to_char({name} AT TIME ZONE 'UTC', '''YYYY-MM-DD HH24:MI:SS.US+00:00''')"
        case Kind.BYTES:
            said = f"'''' || translate(encode({name}, 'base64'), chr(10), '') || ''''"
        case Kind.UUID:
            said = f"'''' || replace({name}::text, '-', '') || ''''"
        case _:  # not `quote_literal`, which has a form of its own for backslashes
            said = f"'''' || replace({name}::text, '''', '''''') || ''''"
    return f"coalesce({said}, 'NULL')"
