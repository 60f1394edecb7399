"""What an import changes on purpose in a dump, before it takes the place of what there is. docs/backup.md lists it."""
# ruff: noqa: S608 - the names in the statements are those of our own tables, and every value is bound

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from service.audit import Act
from service.backup import Changes, Importer
from service.chat import DeliveryState as OnItsWay
from service.errors import InvalidUrl
from service.media_url import MediaUrl
from service.members import OWNER_LINK
from service.model import STATUS_STEP
from service.webhooks import DeliveryState as MessageState
from storage.cards import read as read_description
from storage.dump_checks import COUNTED, HIGHEST
from storage.present import Present
from storage.sealed import REENTRY, SEALED
from storage.vault import MultiFernetVault, UnreadableSecret

LOCATIONS: Final = (
    "SELECT id, location FROM media_files WHERE (is_current OR id IN (SELECT media_file_id FROM job_files)) AND id > ? ORDER BY id LIMIT ?"
)
"""Where there has to be a file: of what may be shown again, and of what a job shows that was replaced since."""
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
_READERS: Final = {"url": MediaUrl.parse, "callback_url": MediaUrl.parse, "description": read_description}
"""What can be decrypted may still be another column's secret: these are read by whoever looks at the row."""
_LINK_SAID: Final = "A secret of this link was encrypted with a key that is not here; give it again."


def lose_secrets(connection: sqlite3.Connection, vault: MultiFernetVault) -> int:
    """Whatever says that it is encrypted and cannot be read, so that nobody stumbles over it. Returns how many values."""

    def is_readable(text: str, column: str) -> bool:
        try:
            _READERS.get(column, str)(vault.decrypt(text.removeprefix(SEALED).encode()))
        except (UnreadableSecret, InvalidUrl, ValueError, TypeError, KeyError):
            return False
        return True

    connection.create_function("is_readable", 2, is_readable, deterministic=True)
    lost = 0
    for table, columns in _UNREADABLE.items():
        for column, change in columns.items():
            given = {"code": NEEDS_REENTRY, "said": _LINK_SAID} if ":code" in change else {}
            is_marked = f" AND {column} <> '{REENTRY}'" if REENTRY in change else ""
            lost += connection.execute(f"UPDATE {table} SET {change} WHERE {_unreadable(column)}{is_marked}", given).rowcount
    lost += connection.execute(f"DELETE FROM webhook_messages WHERE {_unreadable('url')} OR {_unreadable('body')}").rowcount
    return lost


def _unreadable(column: str) -> str:
    return f"substr({column}, 1, {len(SEALED)}) = '{SEALED}' AND NOT is_readable({column}, '{column}')"


def adapt(
    connection: sqlite3.Connection,
    *,
    importer: Importer,
    key: dict[str, Any] | None,
    highest_epoch: int,
    now: datetime,
    lost_secrets: int,
) -> Changes:
    """`importer` is who imports as they are in the running database, `highest_epoch` is that of all its accounts, `key` the row of the
    API key that the importer showed.
    """
    at = _written(now)
    leave_room(connection)
    end_sending(connection, at)
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


def leave_room(connection: sqlite3.Connection) -> None:
    """What is counted on from must not come to its end soon, whatever the dump says."""
    for column in sorted(COUNTED):
        table, _, name = column.partition(".")
        connection.execute(f"UPDATE {table} SET {name} = ? WHERE {name} > ?", (HIGHEST // 2, HIGHEST // 2))


def end_sending(connection: sqlite3.Connection, at: str) -> None:
    """What was on its way when the dump was made has arrived since, as far as anybody knows."""
    connection.execute(
        "UPDATE deliveries SET state = ? WHERE state IN (?, ?) AND job_id IN (SELECT id FROM jobs WHERE status = 'completed')",
        (OnItsWay.UNSURE.value, OnItsWay.WAITING.value, OnItsWay.SENDING.value),
    )
    connection.execute("UPDATE deliveries SET state = ? WHERE state = ?", (OnItsWay.DELIVERED.value, OnItsWay.ANNOUNCING.value))
    connection.execute(
        "UPDATE webhook_messages SET state = ?, ended_at = ? WHERE state = ?", (MessageState.GIVEN_UP.value, at, MessageState.WAITING.value)
    )


def forget_missing(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Of several files under one key none is served without the others, and no job shows what is not there."""
    key = "scope, extractor, media_id, selection"
    among = f"SELECT {key} FROM media_files WHERE id = ? AND is_current"
    named = [(number,) for number in ids]
    connection.executemany(f"UPDATE media_files SET is_current = 0 WHERE is_current AND ({key}) IN ({among})", named)
    connection.executemany("DELETE FROM job_files WHERE media_file_id = ?", named)


def keep_void(connection: sqlite3.Connection, present: Present, now: datetime) -> None:
    """An address that opens nothing here goes on to open nothing, and none that was given out here opens what is another's in the dump.

    A link of the same number, owner and address is the same one: what opens its feed now goes on to do so. The number of one that was
    deleted here may have been anybody's.
    """
    query = "SELECT l.id, l.account_id, a.username_key, l.url_digest, l.feed_epoch FROM links l JOIN accounts a ON a.id = l.account_id"
    raised = []
    for number, account_id, username_key, url_digest, epoch in connection.execute(query).fetchall():
        here = present.feeds.get(number)
        if here is not None and (here.account_id, here.username_key, here.url_digest) == (account_id, username_key, url_digest):
            raised.append((here.epoch, number))
        elif number <= present.last_link:
            raised.append((max(epoch, here.epoch if here else 0, _minutes(now)) + 1, number))
    connection.executemany("UPDATE links SET feed_epoch = max(feed_epoch, ?) WHERE id = ?", raised)
    files = [(epoch, job, name) for job, name, epoch in present.files]
    connection.executemany("UPDATE job_files SET epoch = max(epoch, ?) WHERE job_id = ? AND name = ?", files)


def _minutes(now: datetime) -> int:
    """An epoch that was not given out before, where nobody remembers which were."""
    return int(now.timestamp()) // 60


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
    epoch = max(known, highest, _minutes(now)) + 1
    connection.execute("UPDATE accounts SET token_epoch = ?", (epoch,))
    account = importer.account
    if account is None:
        return None, False
    found = connection.execute("SELECT id FROM accounts WHERE username_key = ?", (account.username.casefold(),)).fetchone()
    if found is None:
        return None, False
    is_same = found[0] == account.id and account.is_there
    if is_same:
        connection.execute("UPDATE accounts SET token_epoch = ? WHERE id = ?", (account.token_epoch, account.id))
    return found[0], is_same


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
