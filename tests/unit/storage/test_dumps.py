"""The grammar of dumps: what Magpie writes it reads again, and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import InvalidDump
from storage.dump_reading import DumpReader, check_form, examine, read_header
from storage.dumps import FORMAT, Header, shapes, sqlite_dump
from storage.tables import metadata

NOW = datetime(2026, 11, 21, 22, 0, 0, 123456, tzinfo=UTC)
HEADER = Header(revision="0006", key="0123456789abcdef", made_at=NOW, version="0.1")
TABLES = {shape.name: shape for shape in shapes()}


def empty() -> sqlite3.Connection:
    """Today's tables, in memory."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    connection: Any = engine.raw_connection().driver_connection
    connection.isolation_level = None
    return connection  # type: ignore[no-any-return]


def a_card(**values: Any) -> dict[str, Any]:
    """The table with a column of most kinds."""
    row = dict.fromkeys((column.name for column in TABLES["cards"].columns), None)
    needed = {
        "id": "c", "bot_id": 1, "account_id": 0, "chat_id": 2, "position": 0, "url": "https://example.com/", "url_digest": "d",
        "asks": 1, "has_media": 0, "state": "offered", "range_from": 1, "is_settled": 1, "created_at": "2026-11-21 22:00:00.000000",
    }  # fmt: skip
    return {**row, **needed, **values}


def holding(*cards: dict[str, Any], accounts: tuple[dict[str, Any], ...] = ()) -> sqlite3.Connection:
    connection = empty()
    account = {
        "id": 0,
        "username": "local",
        "username_key": "local",
        "is_active": 1,
        "is_superuser": 1,
        "created_at": "2026-01-01 00:00:00",
    }
    for table, rows in (("accounts", (account, *accounts)), ("cards", cards)):
        for row in rows:
            names = ", ".join(row)
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    return connection


AT = "2026-01-01 00:00:00.000000"


def with_jobs(*jobs: dict[str, Any]) -> sqlite3.Connection:
    connection = holding()
    session = {"id": "0" * 32, "folder": "1" * 32, "created_by": "api", "closes_with_job": 0, "created_at": AT, "last_activity": AT}
    whole = {
        "download_session_id": "0" * 32, "origin": "api", "url": "", "selection": "", "scope": "", "dedupe_key": "", "refresh": 0,
        "status": "failed", "attempt": 1, "starts": 1, "seq": 1, "phase": "x", "created_at": AT,
    }  # fmt: skip
    for table, row in (("download_sessions", session), *(("jobs", {**whole, **job}) for job in jobs)):
        connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    return connection


def dump_of(connection: sqlite3.Connection) -> bytes:
    return b"".join(sqlite_dump(connection, HEADER))


def load(dump: bytes) -> sqlite3.Connection:
    """Raises `InvalidDump`."""
    connection = empty()
    DumpReader(io.BytesIO(dump), TABLES).load(connection)
    check_form(connection, list(TABLES.values()))
    return connection


def summed(text: str) -> bytes:
    """As somebody would write it who knows the format: with a last line that fits."""
    body = text[: text.rindex("-- end ")]
    rows = sum(line.startswith("INSERT INTO ") for line in body.splitlines())
    return f"{body}-- end {rows} {hashlib.sha256(body.encode()).hexdigest()}\n".encode()


def changed(dump: bytes, change: Callable[[str], str]) -> bytes:
    return summed(change(dump.decode()))


@pytest.fixture(scope="module")
def dump() -> bytes:
    with closing(holding(a_card(description="It's said"))) as connection:
        return dump_of(connection)


# --- what is written is read --------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200) | st.sampled_from(
    ["'", "''", "\\", "\\'", "a\nb", "\r\n", "-- end 3 0", "');\nINSERT INTO cards", "NULL", "', '", "ünï🙂", "\ufeff", "\u2028", ""]
)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
TIMES = st.datetimes().map(lambda at: f"{at.year:04}-" + at.strftime("%m-%d %H:%M:%S.%f"))


ITEMS = st.recursive(st.booleans() | st.integers() | TEXTS, lambda one: st.lists(one) | st.dictionaries(TEXTS, one), max_leaves=5)
JSON = st.lists(ITEMS) | st.dictionaries(TEXTS, ITEMS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    url=TEXTS,
    description=st.none() | TEXTS,
    chat_id=NUMBERS,
    picture=st.none() | st.binary(max_size=100),
    asks=st.booleans(),
    starts_at=st.none() | TIMES,
    allowance=st.none() | JSON,
)
def test_every_kind_of_value_comes_back_as_it_was(allowance: Any, **values: Any) -> None:
    account = {"id": 7, "username": "x", "username_key": "x", "is_active": 1, "is_superuser": 0, "created_at": "2026-01-01 00:00:00.000000",
               "allowance": None if allowance is None else json.dumps(allowance)}  # fmt: skip
    with closing(holding(a_card(**values), accounts=(account,))) as before, closing(load(dump_of(before))) as after:
        for table in ("cards", "accounts"):
            names = ", ".join(column.name for column in TABLES[table].columns if column.name != "created_at")
            query = f"SELECT {names} FROM {table} ORDER BY id"
            assert after.execute(query).fetchall() == before.execute(query).fetchall()


@pytest.mark.parametrize("speed", [0.1, 1.5, 3.0, 1e-7, 1e300, -0.25, 123456789.123])
def test_numbers_with_a_fraction_keep_all_their_digits(speed: float) -> None:
    with closing(with_jobs({"id": "2" * 32, "speed": speed})) as before, closing(load(dump_of(before))) as after:
        assert after.execute("SELECT speed FROM jobs").fetchone() == (speed,)


def test_a_time_without_a_fraction_gets_one() -> None:
    with closing(holding()) as before, closing(load(dump_of(before))) as after:
        assert after.execute("SELECT created_at FROM accounts").fetchone() == ("2026-01-01 00:00:00.000000",)


def test_a_list_comes_before_its_items_however_they_are_numbered() -> None:
    family = [{"id": f"{number:032}", "parent_id": parent and f"{parent:032}"} for number, parent in ((1, 2), (2, 3), (3, None), (4, 3))]
    with closing(with_jobs(*reversed(family))) as before:
        lines = [line for line in dump_of(before).decode().splitlines() if line.startswith("INSERT INTO jobs")]
    assert [int(line.partition("VALUES ('")[2][:32]) for line in lines] == [3, 2, 4, 1]


def test_a_row_larger_than_a_piece_is_read() -> None:
    long = "it's " * 1_000_000
    with closing(holding(a_card(description=long))) as before, closing(load(dump_of(before))) as after:
        assert after.execute("SELECT description FROM cards").fetchone() == (long,)


def test_a_text_with_nul_is_whole_but_for_that() -> None:
    with closing(holding(a_card(url="before\0after\0"))) as before, closing(load(dump_of(before))) as after:
        assert after.execute("SELECT url FROM cards").fetchone() == ("before\ufffdafter\ufffd",)


def test_numbers_that_only_python_knows_are_none_in_json() -> None:
    account = {"id": 7, "username": "x", "username_key": "x", "is_active": 1, "is_superuser": 0, "created_at": AT,
               "allowance": '{"a": [Infinity, -Infinity, NaN, 1e999, 1.5, 2]}'}  # fmt: skip
    with closing(holding(accounts=(account,))) as before, closing(load(dump_of(before))) as after:
        (told,) = after.execute("SELECT allowance FROM accounts WHERE id = 7").fetchone()
        assert json.loads(told) == {"a": [None, None, None, None, 1.5, 2]}


def test_columns_may_stand_in_another_order(dump: bytes) -> None:
    swapped = changed(dump, lambda text: text.replace("(id, bot_id", "(bot_id, id").replace("VALUES ('c', 1,", "VALUES (1, 'c',"))
    assert swapped != dump
    with closing(load(swapped)) as after:
        assert after.execute("SELECT id, bot_id FROM cards").fetchone() == ("c", 1)


# --- what is refused ------------------------------------------------------------------------------------------------------

ROW = "INSERT INTO cards ("
PLANTED = {
    "attach": "ATTACH DATABASE '/tmp/x' AS x;\n",
    "pragma": "PRAGMA writable_schema=ON;\n",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON accounts BEGIN DELETE FROM accounts; END;\n",
    "recursive query": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x FROM c;\n",
    "another table": "INSERT INTO sqlite_master (type) VALUES ('table');\n",
    "the engine's table": "INSERT INTO workflow_status (workflow_uuid) VALUES ('x');\n",
    "alembic's table": "-- table alembic_version 1\nINSERT INTO alembic_version (version_num) VALUES ('0001');\n",
    "comment": "-- just a word\n",
    "block comment": "/* */\n",
    "empty line": "\n",
    "psql": "\\! touch /tmp/x\n",
    "copy": "COPY accounts FROM PROGRAM 'id';\n",
    "delete": "DELETE FROM accounts;\n",
    "zeros": "\0" * 100_000,
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
@pytest.mark.parametrize("place", ["-- table cards", "-- table accounts", ROW, "-- end "])
def test_a_planted_statement_is_refused_with_its_line(dump: bytes, planted: str, place: str) -> None:
    text = dump.decode()
    line = text[: text.index(place)].count("\n") + 1
    with pytest.raises(InvalidDump, match=rf"Line {line}\b"):
        load(changed(dump, lambda text: text.replace(place, planted + place, 1)))


VALUES = {
    "function": "load_extension('x')",
    "subquery": "(SELECT password_hash FROM accounts)",
    "arithmetic": "1+1",
    "concatenation": "'a' || 'b'",
    "blob": "x'00'",
    "escape string": r"E'\x00'",
    "dollar quotes": "$$a$$",
    "double quotes": '"a"',
    "unquoted": "abc",
    "cast": "'1'::text",
    "backslash": r"'a\' || version() --'",
    "empty": "",
    "two": "'a', 'b'",
    "end of the statement": "'a'); DELETE FROM accounts; --",
    "comment": "'a' /* */",
    "NUL": "'a\0b'",
    "number": "1",
    "open": "'a",
    "lower case": "null",
    "other digits": "'\u0661'::int",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_that_is_no_literal_of_its_kind_is_refused(dump: bytes, value: str) -> None:
    with pytest.raises(InvalidDump, match=r"^Line \d+ "):
        load(changed(dump, lambda text: text.replace("'It''s said'", value)))


@pytest.mark.parametrize(
    "value",
    [
        "TRUE",
        "'1'",
        "1.0",
        "0x10",
        "1e3",
        "\u0661",
        "9223372036854775808",
        "-9223372036854775809",
        "9999999999999999999",
        "- 1",
        "+1",
        "1 ",
    ],
)
def test_what_is_no_whole_number_is_refused(dump: bytes, value: str) -> None:
    with pytest.raises(InvalidDump):
        load(changed(dump, lambda text: text.replace("VALUES ('c', 1,", f"VALUES ('c', {value},")))


@pytest.mark.parametrize(
    "value",
    ["'2026-02-30 00:00:00.000000+00:00'", "'2026-13-01 00:00:00.000000+00:00'", "'2026-01-01 24:00:00.000000+00:00'", "'now'",
     "'2026-01-01 00:00:00.000000+01:00'", "'0000-01-01 00:00:00.000000+00:00'", "CURRENT_TIMESTAMP", "'infinity'"],
)  # fmt: skip
def test_a_time_that_never_was_is_refused(dump: bytes, value: str) -> None:
    with pytest.raises(InvalidDump):
        load(changed(dump, lambda text: text.replace("'2026-11-21 22:00:00.000000+00:00'", value)))


def test_a_row_that_refers_to_nothing_is_refused(dump: bytes) -> None:
    with pytest.raises(InvalidDump, match="accounts"):
        load(changed(dump, lambda text: text.replace("VALUES ('c', 1, 0,", "VALUES ('c', 1, 5,")))


def test_a_row_twice_is_refused(dump: bytes) -> None:
    def twice(text: str) -> str:
        row = next(line for line in text.splitlines(keepends=True) if line.startswith(ROW))
        return text.replace(row, row * 2).replace("-- table cards 1", "-- table cards 2")

    with pytest.raises(InvalidDump, match="cards"):
        load(changed(dump, twice))


def test_json_that_is_none_is_refused(dump: bytes) -> None:
    def broken(text: str) -> str:
        return text.replace("'user', NULL", "'user', '{'")

    assert broken(dump.decode()) != dump.decode()
    with pytest.raises(InvalidDump, match="JSON"):
        load(changed(dump, broken))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("-- table cards 1", "-- table cards 2"),
        lambda text: text.replace("-- table cards 1", "-- table cards 0"),
        lambda text: text.replace("-- table deliveries 0\n", ""),
        lambda text: text.replace("-- table deliveries 0\n", "-- table deliveries 0\n-- table deliveries 0\n"),
        lambda text: text.replace("-- table deliveries 0\n", "-- table others 0\n"),
        lambda text: text.replace("(id, bot_id", "(id, bot_id, bot_id"),
        lambda text: text.replace("(id, bot_id", "(id, bot"),
    ],
    ids=["more rows announced", "fewer", "a table is missing", "a table twice", "another table", "a column twice", "another column"],
)
def test_what_does_not_add_up_is_refused(dump: bytes, change: Callable[[str], str]) -> None:
    with pytest.raises(InvalidDump):
        load(changed(dump, change))


def test_more_after_the_end_is_refused(dump: bytes) -> None:
    with pytest.raises(InvalidDump):
        load(dump + b"-- table accounts 0\n")


def test_bytes_that_are_no_text_are_refused(dump: bytes) -> None:
    with pytest.raises(InvalidDump, match="UTF-8"):
        load(dump.replace(b"It''s", b"It\xff\xfes"))


def test_a_value_that_never_ends_is_refused_before_all_of_it_is_read(dump: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.dump_reading.LONGEST_ROW", 1 << 21)
    endless = dump[: dump.index(b"It''s")] + b"a" * (1 << 24)
    file = io.BytesIO(endless)
    with pytest.raises(InvalidDump, match="too long"):
        DumpReader(file, TABLES).load(empty())
    assert file.tell() < len(endless) // 2


# --- the file as a whole ----------------------------------------------------------------------------------------------------


def test_a_whole_file_says_what_it_is(dump: bytes, tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_bytes(dump)
    assert examine(tmp_path / "dump.sql") == HEADER


def test_a_truncated_file_is_refused_wherever_it_ends(dump: bytes, tmp_path: Path) -> None:
    file = tmp_path / "dump.sql"
    for size in [*range(0, len(dump), 97), len(dump) - 1]:
        file.write_bytes(dump[:size])
        with pytest.raises(InvalidDump):
            examine(file)


def test_a_file_with_one_byte_changed_is_damaged(dump: bytes, tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_bytes(dump.replace(b"'local', 'local'", b"'local', 'locaI'"))
    with pytest.raises(InvalidDump, match="damaged"):
        examine(tmp_path / "dump.sql")


OTHERS = {
    "nothing": b"",
    "zeros": b"\0" * 4096,
    "pg_dump": b"-- PostgreSQL database dump\n",
    "a database": b"SQLite format 3\0",
    "sqlite3 .dump": b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n",
    "a byte order mark": b"\xef\xbb\xbf-- magpie dump {}\n",
}


@pytest.mark.parametrize("beginning", OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_program_is_refused(beginning: bytes) -> None:
    with pytest.raises(InvalidDump, match="no dump that Magpie made"):
        read_header(beginning)


def test_zeros_are_refused_after_a_look_at_the_first_of_them(tmp_path: Path) -> None:
    file = tmp_path / "zeros.sql"
    with file.open("wb") as sparse:
        sparse.truncate(2 * 2**30)
    with pytest.raises(InvalidDump):
        examine(file)


SOUND = {"format": 1, "revision": "0006", "key": "0123456789abcdef", "made_at": "2026-11-21T22:00:00+00:00", "version": ""}


@pytest.mark.parametrize(
    "said",
    ["{}", "[]", "null", "{", '{"format": 1}', "[" * 3000]
    + [json.dumps({**SOUND, **wrong}) for wrong in ({"format": "x"}, {"revision": 6}, {"key": ""}, {"made_at": "2026-11-21T22:00:00"})]
    + [json.dumps({**SOUND, "format": wrong}) for wrong in (math.inf, math.nan, -1, 0, True, 1.0, None)]
    + [json.dumps({**SOUND, "made_at": wrong}) for wrong in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00")]
    + [json.dumps(SOUND).replace(": 1,", ": 1e999,")],
)
def test_a_first_line_that_says_less_than_it_must_is_refused(said: str) -> None:
    with pytest.raises(InvalidDump):
        read_header(f"-- magpie dump {said}\n".encode())


def test_a_version_that_no_answer_could_show_is_shown_otherwise() -> None:
    line = json.dumps({**SOUND, "version": "1\ud800"})
    assert read_header(f"-- magpie dump {line}\n".encode()).version == "1?"


def test_a_newer_format_is_named_so() -> None:
    line = HEADER.line().replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}')
    with pytest.raises(InvalidDump, match="newer version"):
        read_header(line.encode())
