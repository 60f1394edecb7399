"""What the values of a dump have to mean: what Magpie writes is accepted, what its own code could not read is refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from service.errors import InvalidDump
from storage.dump_checks import CHECKS, COUNTED, HIGHEST, check_meaning, doubts_of
from storage.tables import BIG_ID, UtcDateTime, metadata
from tests.support.backups import a_row

COLUMNS = {f"{table.name}.{column.name}": column for table in metadata.sorted_tables for column in table.columns}


@pytest.fixture(scope="module")
def sound() -> bytes:
    """A database with two rows in every table."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for number in (1, 2):
                connection.execute(sa.insert(table).values(a_row(table, number)))
    plain: Any = engine.raw_connection().driver_connection
    content: bytes = plain.serialize()
    engine.dispose()
    return content


@pytest.fixture
def rows(sound: bytes) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.deserialize(sound)
        yield connection


def put(connection: sqlite3.Connection, name: str, value: object) -> None:
    """Into the last row."""
    table, _, column = name.partition(".")
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT max(rowid) FROM {table})", (value,))


def test_what_magpie_writes_means_something(rows: sqlite3.Connection) -> None:
    check_meaning(rows)


WRONG: dict[str, list[object]] = {
    "accounts.username_key": ["USERNAME2", "another"],
    "accounts.email_key": ["EMAIL2", "another"],
    "accounts.role": ["king", ""],
    "accounts.allowance": ["[1]", "5", '{"more": 1}', '{"at_once": "1"}', '{"at_once": -1}', '{"at_once": true}', '{"at_once": 1e3}'],
    "download_sessions.created_by": ["zz"],
    "links.url": ["not an address", "ftp://example.com/", "http://"],
    "links.name": [" ", "x" * 201],
    "links.type": ["zz"],
    "links.tags": ["{}", "5", "[5]", '[" "]', json.dumps(["x"] * 51), '["\\ud800"]'],
    "links.schedule": ["x", "* * * *", "0 0 31 2 *"],
    "links.timezone": ["Mars", "../../etc/passwd", ""],
    "links.filters": ["[]", "null", '{"more": 1}', '{"newest": "1"}', '{"since": "never"}', '{"kinds": ["zz"]}', '{"title": 5}'],
    "links.keep_last": [0, 100_001],
    "links.selection": ["", "garbage", "a:b:c", "audio:mp3", "audio:mp3:best::9-1"],
    "links.telling": ["zz"],
    "links.callback_url": ["not an address"],
    "links.state": ["zz"],
    "link_items.state": ["zz"],
    "link_items.url": ["not an address"],
    "link_items.entries": ["{}", "[1]", "5"],
    "jobs.origin": ["zz"],
    "jobs.url": ["not an address", "", "https://exa mple.com/", "sealed"],
    "jobs.selection": ["garbage"],
    "jobs.callback_url": ["not an address"],
    "jobs.status": ["nonsense", "COMPLETED"],
    "jobs.phase": ["done"],
    "media_files.kind": ["zz"],
    "media_files.size": [-1],
    "media_files.sha256": ["", "f" * 63, "F" * 64, "f" * 63 + "\n"],
    "media_files.duration_ms": [-1, 2**62],
    "job_files.name": ["", ".", "..", "../x", "a/b"],
    "job_files.path": ["", ".", "/etc/passwd", "../x", "a/../../x", "a/.."],
    "history_entries.origin": ["zz"],
    "history_entries.outcome": ["hm"],
    "history_entries.url": ["not an address", "sealed:x"],
    "history_entries.files": ["5", "{}", "[5]", '["\\ud800"]', "null"],
    "idempotency_keys.more_job_ids": ["{}", '["x"]', "[1]"],
    "api_keys.scope": ["zz"],
    "webhooks.url": ["not an address"],
    "webhooks.secret": ["whsec_!", "x"],
    "webhook_messages.url": ["not an address"],
    "webhook_messages.state": ["zz"],
    "charges.bytes": [-1],
    "audit_entries.action": ["zz"],
    "preferences.selection": ["garbage"],
    "cards.url": ["not an address"],
    "cards.clip": ["x", "9-1", "1"],
    "cards.state": ["zz"],
    "cards.description": ["{}", "x", "[]"],
    "deliveries.state": ["zz"],
    "telegram_copies.kind": ["zz"],
    **{name: [HIGHEST + 1, -1] for name in sorted(COUNTED)},
}
"""By column, values that have the form, and mean nothing."""
KEPT = {
    "settings": ["[]", "5", "x", '{"max_concurrent_downloads": "2"}', '{"link_monitor_interval_minutes": 1e300}', "{"],
    "failing_sites": ["[]", "x", '{"1": 5}', '{"1": [5]}'],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_value_that_means_nothing_is_refused_with_its_column(rows: sqlite3.Connection, name: str, value: object) -> None:
    put(rows, name, value)
    with pytest.raises(InvalidDump, match=rf"\b{name} "):
        check_meaning(rows)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in KEPT.items() for value in values])
def test_a_kept_value_that_would_be_read_in_vain_is_refused(rows: sqlite3.Connection, name: str, value: str) -> None:
    rows.execute("INSERT INTO kept_values (name, value) VALUES (?, ?)", (name, value))
    with pytest.raises(InvalidDump, match=r"kept_values\.value"):
        check_meaning(rows)


RIGHT: list[tuple[str, object]] = [
    ("jobs.url", "sealed:gAAAAA"),
    ("jobs.url", "https://user:pass@example.com:8443/a%20b?x=[1]|2"),
    ("jobs.url", "http://[2001:db8::1]/"),
    ("jobs.url", "https://www.youtube.com/watch?v=__a-b__c"),
    ("jobs.selection", "transcript:srt:best:en"),
    ("jobs.selection", "video:mp4:720::1000-2000"),
    ("jobs.selection", "document:original:best"),
    ("jobs.total_bytes", 5 * 10**18),  # whatever a site says
    ("jobs.parent_id", None),
    ("links.schedule", None),
    ("links.schedule", "@daily"),
    ("links.filters", "{}"),
    ("links.chat_id", -(2**52)),
    ("links.cookies_until", "9999-12-31 23:59:59.000000"),
    ("accounts.allowance", None),
    ("history_entries.files", "[]"),
    ("cards.description", "sealed:gAAAAA"),
    ("webhooks.secret", "sealed:needs_reentry"),
    ("job_files.path", "downloads/x/..y/a .. b.mp3"),
]


@pytest.mark.parametrize(("name", "value"), RIGHT)
def test_what_may_be_there_is_accepted(rows: sqlite3.Connection, name: str, value: object) -> None:
    put(rows, name, value)
    check_meaning(rows)


# --- what the type says -------------------------------------------------------------------------------------------------


def of_type(wanted: Callable[[sa.types.TypeEngine[Any]], bool]) -> list[str]:
    return [name for name, column in COLUMNS.items() if wanted(column.type) and not column.foreign_keys]


def is_doubted(name: str, value: object) -> bool:
    """By its type alone."""
    table, _, column = name.partition(".")
    (doubt, *_) = [doubt for named, doubt in doubts_of(metadata.tables[table]) if named == column]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE {table} ({column} {COLUMNS[name].type.compile(sa.create_engine('sqlite://').dialect)})")
        connection.execute(f"INSERT INTO {table} VALUES (?)", (value,))
        return bool(connection.execute(f"SELECT {doubt} FROM {table}").fetchone()[0])


@pytest.mark.parametrize("name", of_type(lambda kind: isinstance(kind, sa.String) and kind.length is not None))
def test_a_text_is_as_long_as_its_column_at_most(name: str) -> None:
    length = COLUMNS[name].type.length  # type: ignore[attr-defined]  # a text's
    assert (is_doubted(name, "🙂" * length), is_doubted(name, "🙂" * (length + 1))) == (False, True)


@pytest.mark.parametrize("name", of_type(lambda kind: type(kind) is sa.Integer))
def test_a_small_number_has_32_bits(name: str) -> None:
    assert [is_doubted(name, value) for value in (0, 2**31 - 1, 2**31, -1)] == [False, False, True, True]


@pytest.mark.parametrize("name", of_type(lambda kind: kind is BIG_ID))
def test_behind_the_number_of_a_row_there_are_others(name: str) -> None:
    assert [is_doubted(name, value) for value in (1, 2**53, 2**63 - 1)] == [False, False, True]


@pytest.mark.parametrize("name", of_type(lambda kind: isinstance(kind, UtcDateTime)))
def test_a_time_is_one_that_can_be_counted_with(name: str) -> None:
    assert [is_doubted(name, f"{year}-01-01 00:00:00.000000") for year in ("0001", "2026")] == [True, False]


def test_what_is_added_up_has_a_sum(rows: sqlite3.Connection) -> None:
    rows.execute("UPDATE charges SET bytes = ?", (2**61,))
    with pytest.raises(InvalidDump, match=r"charges\.bytes"):
        check_meaning(rows)


# --- no column is forgotten -----------------------------------------------------------------------------------------------

TEXT, KEY, SECRET, GONE = "shown as it is", "compared, never read", "an encrypted text, or one for others to read", "not taken over"
FREE = {
    "accounts.username": TEXT,
    "accounts.email": TEXT,
    "accounts.password_hash": "one that is none fits no password",
    "accounts.made_for": KEY,
    "download_sessions.requested_username": KEY,
    "download_sessions.address": KEY,
    "links.url_digest": KEY,
    "links.cookies": SECRET,
    "links.chat_id": "Telegram says whether there is such a chat",
    "links.thread_id": "Telegram says whether there is such a topic",
    "links.title": TEXT,
    "links.problem_code": TEXT,
    "links.problem": TEXT,
    "links.told_code": KEY,
    "link_items.extractor": KEY,
    "link_items.item_id": KEY,
    "link_items.title": TEXT,
    "jobs.payer": KEY,
    "jobs.scope": KEY,
    "jobs.dedupe_key": KEY,
    "jobs.downloaded_bytes": TEXT,
    "jobs.total_bytes": TEXT,
    "jobs.speed": TEXT,
    "jobs.eta": TEXT,
    "jobs.waits_for": KEY,
    "jobs.title": TEXT,
    "jobs.artist": TEXT,
    "jobs.error_code": TEXT,
    "jobs.error_message": TEXT,
    "fetches.scope": GONE,
    "fetches.extractor": GONE,
    "fetches.media_id": GONE,
    "fetches.selection": GONE,
    "media_files.scope": KEY,
    "media_files.extractor": KEY,
    "media_files.media_id": KEY,
    "media_files.selection": KEY,
    "media_files.extension": KEY,
    "media_files.location": "looked for: what leads nowhere is missing",
    "media_files.title": TEXT,
    "media_files.artist": TEXT,
    "media_files.etag": KEY,
    "media_files.last_modified": KEY,
    "media_files.length": KEY,
    "media_urls.url_digest": KEY,
    "media_urls.scope": KEY,
    "media_urls.extractor": KEY,
    "media_urls.media_id": KEY,
    "history_entries.link_name": TEXT,
    "history_entries.title": TEXT,
    "history_entries.message": TEXT,
    "history_entries.code": TEXT,
    "history_entries.words": KEY,
    "idempotency_keys.caller": KEY,
    "idempotency_keys.key": KEY,
    "idempotency_keys.body_hash": KEY,
    "kept_values.name": KEY,
    "api_keys.name": TEXT,
    "api_keys.start": TEXT,
    "api_keys.digest": KEY,
    "one_time_codes.digest": GONE,
    "one_time_codes.purpose": GONE,
    "one_time_codes.telegram_id": GONE,
    "site_cookies.site": KEY,
    "site_cookies.content": SECRET,
    "webhook_messages.event": TEXT,
    "webhook_messages.body": SECRET,
    "charges.payer": KEY,
    "ended_logins.id": GONE,
    "audit_entries.details": TEXT,
    "telegram_users.id": KEY,
    "telegram_users.first_name": TEXT,
    "telegram_users.username": TEXT,
    "telegram_users.language_code": "of one that nobody knows the texts are English",
    "preferences.language": "of one that nobody knows the texts are English",
    "telegram_updates.bot_id": KEY,
    "telegram_updates.update_id": KEY,
    "telegram_updates.body": GONE,
    "cards.id": KEY,
    "cards.bot_id": KEY,
    "cards.asker_id": KEY,
    "cards.chat_id": KEY,
    "cards.thread_id": KEY,
    "cards.request_id": KEY,
    "cards.message_id": KEY,
    "cards.url_digest": KEY,
    "cards.error_code": KEY,
    "deliveries.card_id": KEY,
    "deliveries.error_code": KEY,
    "telegram_copies.bot_id": KEY,
    "telegram_copies.file_id": KEY,
    "telegram_copies.vault_chat_id": KEY,
    "telegram_copies.vault_message_id": KEY,
}
"""Columns without a check, and why they need none."""
BY_FORM = (sa.Boolean, sa.Uuid, UtcDateTime, sa.LargeBinary)
"""What the grammar of dumps and the types say is all there is to say."""


def test_every_column_has_a_check_or_a_reason_to_have_none() -> None:
    by_form = {
        name
        for name, column in COLUMNS.items()
        if isinstance(column.type, BY_FORM) or type(column.type) is sa.Integer or column.type is BIG_ID or column.foreign_keys
    }
    needing = COLUMNS.keys() - by_form
    assert {
        "forgotten": sorted(needing - CHECKS.keys() - FREE.keys()),
        "gone": sorted((CHECKS.keys() | FREE.keys()) - COLUMNS.keys()),
        "both": sorted(CHECKS.keys() & FREE.keys()),
        "never seen to refuse": sorted(CHECKS.keys() - WRONG.keys() - {"kept_values.value"}),
    } == {"forgotten": [], "gone": [], "both": [], "never seen to refuse": []}
