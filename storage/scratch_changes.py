"""What an import changes on purpose in a dump, before it takes the place of what there is. docs/backup.md lists it."""
# ruff: noqa: S608 - the names in the statements are those of our own tables, and every value is bound

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any, Final

from service.audit import Act
from service.backup import Changes, Importer
from service.members import OWNER_LINK
from service.model import STATUS_STEP
from storage.sealed import REENTRY, SEALED
from storage.vault import MultiFernetVault, UnreadableSecret

INTERRUPTED: Final = "interrupted_by_import"
SAID: Final = "It was under way when the backup was made; ask for it again."
NO_ADDRESS: Final = "https://needs-reentry.invalid/"
"""What stands where an address was a secret that cannot be read any more."""
NEEDS_REENTRY: Final = "needs_reentry"
_LIVE: Final = "status IN ('pending', 'processing')"
_UNREADABLE: Final = {
    "site_cookies": {"content": f"content = '{REENTRY}'"},
    "webhooks": {"secret": f"secret = '{REENTRY}'", "url": f"url = '{REENTRY}'"},
    "jobs": {"url": f"url = '{NO_ADDRESS}'", "callback_url": "callback_url = NULL"},
    "cards": {
        "url": f"url = '{NO_ADDRESS}', state = CASE WHEN state IN ('looking', 'offered', 'ordered') THEN 'dismissed' ELSE state END",
        "description": "description = NULL",
    },
    "links": {
        "cookies": "cookies = NULL, cookies_until = NULL, state = 'paused', problem_code = :code, problem = :said",
        "callback_url": "callback_url = NULL, state = 'paused', problem_code = :code, problem = :said",
        "url": f"url = '{NO_ADDRESS}', is_enabled = 0, next_run_at = NULL, state = 'broken', problem_code = :code, problem = :said",
    },
    "link_items": {"url": "url = NULL"},
}
"""What becomes of each encrypted value that the present keys do not open."""
_LINK_SAID: Final = "A secret of this link was encrypted with a key that is not here; give it again."


def lose_secrets(connection: sqlite3.Connection, vault: MultiFernetVault) -> int:
    """Whatever says that it is encrypted and cannot be read, so that nobody stumbles over it. Returns how many values."""

    def is_readable(text: str) -> bool:
        try:
            vault.decrypt(text.removeprefix(SEALED).encode())
        except UnreadableSecret:
            return False
        return True

    connection.create_function("is_readable", 1, is_readable, deterministic=True)
    lost = 0
    for table, columns in _UNREADABLE.items():
        for column, change in columns.items():
            given = {"code": NEEDS_REENTRY, "said": _LINK_SAID} if ":code" in change else {}
            lost += connection.execute(f"UPDATE {table} SET {change} WHERE {_unreadable(column)}", given).rowcount
    lost += connection.execute(f"DELETE FROM webhook_messages WHERE {_unreadable('url')} OR {_unreadable('body')}").rowcount
    return lost


def _unreadable(column: str) -> str:
    return f"substr({column}, 1, {len(SEALED)}) = '{SEALED}' AND {column} <> '{REENTRY}' AND NOT is_readable({column})"


def adapt(
    connection: sqlite3.Connection,
    *,
    importer: Importer,
    key: dict[str, Any] | None,
    highest_epoch: int,
    now: datetime,
    lost_secrets: int,
) -> Changes:
    """`highest_epoch` is that of the running database, `key` the row of the API key that the importer showed."""
    at = _written(now)
    failed = _end_jobs(connection, at)
    for table in ("fetches", "one_time_codes"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("DELETE FROM kept_values WHERE name = ?", (OWNER_LINK,))
    next_times(connection, at)
    # What had arrived was dealt with where the dump comes from, and nothing starts by itself.
    connection.execute("UPDATE telegram_updates SET body = NULL")
    connection.execute("UPDATE cards SET asks = 1, starts_at = NULL WHERE state IN ('looking', 'offered')")
    account_id, is_same = _end_logins(connection, importer, highest_epoch, now)
    if key is not None and account_id is not None:
        _carry_key(connection, account_id, key)
    connection.execute(
        "INSERT INTO audit_entries (at, account_id, action, details) VALUES (?, ?, ?, ?)",
        (at, account_id, Act.DATABASE_IMPORTED.value, f"{failed} downloads were under way, {lost_secrets} secrets need re-entry"),
    )
    return Changes(failed_jobs=failed, lost_secrets=lost_secrets, must_log_in=importer.account is not None and not is_same)


def next_times(connection: sqlite3.Connection, at: str) -> None:
    """What is looked at by the clock is due at once: the look itself computes the next time, from now on."""
    connection.execute("UPDATE links SET next_run_at = CASE WHEN is_enabled THEN ? END", (at,))


def _written(at: datetime) -> str:
    """As SQLite keeps times."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _end_jobs(connection: sqlite3.Connection, at: str) -> int:
    connection.execute(
        "UPDATE download_sessions SET closed_at = ? WHERE closes_with_job AND closed_at IS NULL"
        f" AND id IN (SELECT download_session_id FROM jobs WHERE {_LIVE})",
        (at,),
    )
    ended = connection.execute(
        "UPDATE jobs SET status = 'failed', error_code = ?, error_message = ?, ended_at = ?, waits_for = NULL, speed = NULL, eta = NULL,"
        f" seq = seq + ? WHERE {_LIVE}",
        (INTERRUPTED, SAID, at, STATUS_STEP),
    )
    return ended.rowcount


def _end_logins(connection: sqlite3.Connection, importer: Importer, highest: int, now: datetime) -> tuple[int | None, bool]:
    """All but those of whoever imports: the id of their account in the dump, and whether it is the same as here.

    The new epoch is higher than any that was ever given, on either side: time goes into it, since neither side remembers them all.
    """
    (known,) = connection.execute("SELECT coalesce(max(token_epoch), 0) FROM accounts").fetchone()
    epoch = max(known, highest, int(now.timestamp()) // 60) + 1
    connection.execute("UPDATE accounts SET token_epoch = ?", (epoch,))
    account = importer.account
    if account is None:
        return None, False
    found = connection.execute("SELECT id FROM accounts WHERE username_key = ?", (account.username.casefold(),)).fetchone()
    if found is None:
        return None, False
    if found[0] == account.id:
        connection.execute("UPDATE accounts SET token_epoch = ? WHERE id = ?", (account.token_epoch, account.id))
    return found[0], found[0] == account.id


def _carry_key(connection: sqlite3.Connection, account_id: int, key: dict[str, Any]) -> None:
    """So that whoever imported with it can go on to ask how it went."""
    if connection.execute("SELECT 1 FROM api_keys WHERE digest = ?", (key["digest"],)).fetchone() is None:
        connection.execute(
            "INSERT INTO api_keys (account_id, name, start, digest, scope, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            (account_id, key["name"], key["start"], key["digest"], key["scope"], _written(_moment(key["created_at"]))),
        )


def _moment(value: datetime | str) -> datetime:
    """A plain statement's answer: SQLite tells of times as texts, without a zone."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo else at.replace(tzinfo=UTC)
