"""Reads dumps. A dump is somebody's word: nothing of it is ever executed, and what is not exactly of Magpie's form is refused.

The grammar is regular, so that one compiled expression a table takes a row apart: its names are those of the dump's own version,
its values are literals of their columns' kinds, and nothing else may stand between them.
"""
# ruff: noqa: S608 - the names in the statements are those of our own tables, and every value is bound

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import re
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from service.errors import InvalidDump
from storage.dump_checks import check_meaning
from storage.dumps import FIRST_WORDS, FORMAT, Column, Header, Kind, TableShape, kind_of, shapes

CHUNK: Final = 1 << 20
LONGEST_LINE: Final = 4096
"""Bytes of the first line, and of the last."""
LONGEST_ROW: Final = 64 << 20
"""Characters of a row, and so of every value."""
_ENOUGH: Final = 1 << 16
"""With so many characters at hand most rows are complete."""

_TEXT = r"'([^'\x00]*+(?:''[^'\x00]*+)*+)'"
_DAY = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = rf"'({_DAY} (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{6}})\+00:00'"
_LITERALS: Final = {
    Kind.INTEGER: r"(-?[0-9]{1,19})",
    Kind.REAL: r"(-?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,3})?)",
    Kind.BOOLEAN: r"(TRUE|FALSE)",
    Kind.TEXT: _TEXT,
    Kind.TIME: _TIME,
    Kind.UUID: r"'([0-9a-f]{32})'",
    Kind.JSON: _TEXT,
    Kind.BYTES: r"'((?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)'",
}
"""Each with what is bound as its one group: NULL leaves it out."""
_BOUND: Final = {
    Kind.BOOLEAN: "CASE ? WHEN 'TRUE' THEN 1 WHEN 'FALSE' THEN 0 END",
    Kind.TEXT: "replace(?, '''''', '''')",
    Kind.JSON: "replace(?, '''''', '''')",
    Kind.BYTES: "bytes_of(?)",
}
_TABLE = re.compile(r"-- table ([a-z_]{1,63}) ([0-9]{1,12})\n")
_FIRST = re.compile(r"INSERT INTO ([a-z_]{1,63}) \(([a-z0-9_, ]{1,3000})\) VALUES \(")
_LAST = re.compile(r"-- end ([0-9]{1,12}) ([0-9a-f]{64})\n")
_UNFINISHED = re.compile(r"'[^'\x00]*+(?:''[^'\x00]*+)*+\Z")
_KEY = re.compile(r"[0-9a-f]{16}")


def examine(path: Path) -> Header:
    """Whether it is a whole dump of Magpie's, byte for byte as it was written. Raises `InvalidDump`, `OSError`."""
    with path.open("rb") as file:
        header = read_header(file.read(LONGEST_LINE))
        _check_sum(file)
    return header


def read_header(beginning: bytes) -> Header:
    """From a dump's first bytes, `LONGEST_LINE` of them or all there are. Raises `InvalidDump`."""
    line, newline, _ = beginning.partition(b"\n")
    if not line.startswith(FIRST_WORDS.encode()):
        raise InvalidDump("This is no dump that Magpie made: it begins otherwise.")
    if not newline:
        raise InvalidDump("The dump is truncated: not even its first line is whole.")
    try:
        said = json.loads(line.removeprefix(FIRST_WORDS.encode()))
        number, header = said["format"], _header(said)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise InvalidDump("The first line of the dump cannot be read.") from None
    if type(number) is not int or number < 1:
        raise InvalidDump("The first line of the dump names no format.")
    if number > FORMAT:
        raise InvalidDump("The dump was made by a newer version of Magpie; bring this one up to date first.")
    return header


def _header(said: dict[str, Any]) -> Header:
    """Raises `ValueError`, `TypeError`, `KeyError`, `OverflowError`."""
    made_at = datetime.fromisoformat(said["made_at"])
    if made_at.tzinfo is None or not _KEY.fullmatch(said["key"]) or not isinstance(said["revision"], str):
        raise ValueError
    version = str(said["version"])[:100].encode("ascii", "replace").decode()  # half a character of two could not be told of
    return Header(revision=said["revision"], key=said["key"], made_at=made_at.astimezone(UTC), version=version)


def _check_sum(file: BinaryIO) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - LONGEST_LINE))
    tail = file.read()
    start = tail.rstrip(b"\n").rfind(b"\n") + 1
    last = _LAST.fullmatch(tail[start:].decode("ascii", "replace"))
    if last is None:
        raise InvalidDump("The dump is truncated: its last line is missing.")
    left, digest = size - (len(tail) - start), hashlib.sha256()
    file.seek(0)
    while left > 0 and (block := file.read(min(left, CHUNK))):
        digest.update(block)
        left -= len(block)
    if digest.hexdigest() != last[2]:
        raise InvalidDump("The dump is damaged: it is not as it was written (its checksum does not fit).")


def shapes_of(connection: sqlite3.Connection) -> dict[str, TableShape]:
    """Those of the tables that are there. Alembic's own is none of a dump's."""
    named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'").fetchall()
    found = {}
    for (name,) in named:
        if name != "alembic_version":
            told = connection.execute(f"PRAGMA table_info({name})").fetchall()
            found[name] = TableShape(name=name, columns=tuple(Column(name=column[1], kind=kind_of(column[2])) for column in told))
    return found


class DumpReader:
    """Reads one dump into empty tables of its version, unless it is given up meanwhile."""

    def __init__(self, file: BinaryIO, tables: dict[str, TableShape], given_up: threading.Event | None = None) -> None:
        self._file, self._tables, self._given_up = file, tables, given_up or threading.Event()
        self._decode = codecs.getincrementaldecoder("utf-8")("strict").decode
        self._buffer, self._at, self._lines, self._is_over = "", 0, 1, False
        self.counts: dict[str, int] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        """Raises `InvalidDump`."""
        connection.create_function("bytes_of", 1, _bytes, deterministic=True)
        self._refill()
        self._at = self._buffer.index("\n") + 1  # the header has been read
        while (match := self._line(_TABLE)) is not None:
            table = self._tables.get(match[1])
            if table is None or table.name in self.counts:
                self._at = match.start()
                raise self._wrong(f"there is no table {match[1]}" if table is None else f"the table {match[1]} comes twice")
            self.counts[table.name] = self._load_table(connection, table)
            if self.counts[table.name] != int(match[2]):
                raise self._wrong(f"the table {table.name} has {self.counts[table.name]} rows, {int(match[2])} were announced")
        last = self._line(_LAST)
        if last is None or self._at != len(self._buffer) or not self._is_over:
            raise self._wrong("only Magpie's own INSERT statements may stand in a dump")
        missing = sorted(set(self._tables) - set(self.counts))
        if missing:
            raise self._wrong(f"the table {missing[0]} is missing")
        if int(last[1]) != sum(self.counts.values()):
            raise self._wrong("there are not as many rows as announced")

    def _load_table(self, connection: sqlite3.Connection, known: TableShape) -> int:
        if (table := self._ordered(known)) is None:
            return 0
        bound = ", ".join(_BOUND.get(column.kind, "?") for column in table.columns)
        names = ", ".join(column.name for column in table.columns)
        try:
            added = connection.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({bound})", self._rows(table))
        except sqlite3.IntegrityError as wrong:
            raise InvalidDump(f"Rows of the table {table.name} do not go together ({wrong}).") from None
        return max(added.rowcount, 0)

    def _ordered(self, table: TableShape) -> TableShape | None:
        """With its columns in the order in which the first row has them, which all others must keep to; None without a row."""
        match = self._line(_FIRST)
        if match is None:
            return None
        self._at = match.start()
        by_name = {column.name: column for column in table.columns}
        names = match[2].split(", ")
        if match[1] != table.name or sorted(names) != sorted(by_name):
            raise self._wrong(f"the table {table.name} of that version has other columns")
        return replace(table, columns=tuple(by_name[name] for name in names))

    def _rows(self, table: TableShape) -> Iterator[tuple[str | None, ...]]:
        """The values as texts; SQLite turns them into what their columns hold."""
        row = _row_pattern(table).match
        while True:
            if len(self._buffer) - self._at < _ENOUGH and not self._is_over:
                self._refill()
            buffer, at, safe = self._buffer, self._at, len(self._buffer) - (0 if self._is_over else _ENOUGH)
            while at <= safe and (match := row(buffer, at)) is not None:
                yield match.groups()
                at = match.end()
            self._at = at
            if at <= safe or self._is_over:
                if buffer.startswith("-- ", at) or not self._is_unfinished(table):
                    return
                self._refill()

    def _is_unfinished(self, table: TableShape) -> bool:
        """Whether what follows may become a row with more of the file. Raises `InvalidDump` where it cannot."""
        buffer, at = self._buffer, self._at
        if not buffer.startswith(table.prefix, at):
            raise self._wrong(f"only Magpie's own INSERT statements into {table.name} may stand here")
        at += len(table.prefix)
        for number, column in enumerate(table.columns):
            match = _literal(column).match(buffer, at)
            if match is None and (self._is_over or not (_UNFINISHED.match(buffer, at) or len(buffer) - at < LONGEST_LINE)):
                raise self._wrong(f"the value of {table.name}.{column.name} is no {column.kind.value}")
            if match is None or match.end() == len(buffer):  # half of two quotes, maybe
                break
            at = match.end()
            joint = ");\n" if number == len(table.columns) - 1 else ", "
            if not buffer.startswith(joint, at) and (self._is_over or len(buffer) - at >= len(joint)):
                raise self._wrong(f"what follows the value of {table.name}.{column.name} does not belong into a dump")
            at += len(joint)
        if self._is_over or len(buffer) - self._at > LONGEST_ROW:
            raise self._wrong("the last row is not whole" if self._is_over else "a value is too long")
        return True

    def _line(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        if len(self._buffer) - self._at < LONGEST_LINE:
            self._refill()
        match = pattern.match(self._buffer, self._at)
        if match is not None:
            self._at = match.end()
        return match

    def _refill(self) -> None:
        """As much as there is at hand, so that a long row costs no more than twice its length."""
        rest = self._buffer[self._at :]
        self._lines += self._buffer.count("\n", 0, self._at)
        if self._given_up.is_set():
            raise self._wrong("it was not read any further")
        piece = self._file.read(max(CHUNK, len(rest)))
        try:
            more = self._decode(piece, not piece)
        except UnicodeDecodeError:
            raise self._wrong("the file is not UTF-8 hereabouts") from None
        self._buffer, self._at, self._is_over = rest + more, 0, not piece

    def _wrong(self, what: str) -> InvalidDump:
        line = self._lines + self._buffer.count("\n", 0, self._at)
        return InvalidDump(f"Line {line} of the dump is not of Magpie's form: {what}.")


def _literal(column: Column) -> re.Pattern[str]:
    return re.compile(f"(?:NULL|{_LITERALS[column.kind]})")


def _row_pattern(table: TableShape) -> re.Pattern[str]:
    return re.compile(re.escape(table.prefix) + ", ".join(f"(?:NULL|{_LITERALS[column.kind]})" for column in table.columns) + r"\);\n")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def check_values(connection: sqlite3.Connection, tables: Sequence[TableShape]) -> None:
    """All that is to be known of the values of one version's tables. Raises `InvalidDump`.

    What they mean is asked where the tables are the present ones: those of another version have to be brought up to date first.
    """
    check_form(connection, tables)
    if {table.name: set(table.columns) for table in tables} == {table.name: set(table.columns) for table in shapes()}:
        check_meaning(connection)


def check_form(connection: sqlite3.Connection, tables: Sequence[TableShape]) -> None:
    """What the grammar alone cannot tell: days that never were, numbers too large, JSON that is none. Raises `InvalidDump`."""
    for table in tables:
        doubts = {column: doubt for column in table.columns if (doubt := _doubt(column)) is not None}
        if not doubts or not connection.execute(f"SELECT 1 FROM {table.name} WHERE {' OR '.join(doubts.values())} LIMIT 1").fetchone():
            continue
        for column, doubt in doubts.items():
            if connection.execute(f"SELECT 1 FROM {table.name} WHERE {doubt} LIMIT 1").fetchone():
                raise InvalidDump(f"A value of {table.name}.{column.name} is no {column.kind.value}.")
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise InvalidDump(f"A row of {broken[0]} names one of {broken[2]} that is not in the dump.")


def _doubt(column: Column) -> str | None:
    name = column.name
    match column.kind:
        case Kind.TIME:
            return f"(substr({name}, 9, 2) > '28' AND date(substr({name}, 1, 10), '+0 days') IS NOT substr({name}, 1, 10))"
        case Kind.INTEGER:  # one that has no place in 64 bits has become another
            return f"typeof({name}) = 'real'"
        case Kind.REAL:
            return f"abs({name}) > {sys.float_info.max!r}"
        case Kind.JSON:
            return f"({name} IS NOT NULL AND NOT json_valid({name}))"
        case _:
            return None
