"""Backups, from SQLite and PostgreSQL into either of them: what comes back is what was there."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa

from service.audit import Act
from service.backup import KEPT_FOR, Importer, ImportState
from service.credentials import ApiKeys
from service.errors import ImportNotFound, ImportUnderWay, InvalidDump, NeedsReentry
from service.media_url import MediaUrl
from service.model import JobStatus
from storage import swap, tables
from storage.cards import written
from storage.migrate import upgrade
from storage.sealed import REENTRY, SEALED, Sealing
from tests.support.backups import DESCRIPTION, NOW, OTHER_VAULT, QUIRKS, VAULT, Place, Row, a_row, prepared_database
from tests.support.house import House, living
from tests.support.people import Town, actor

KINDS = ["sqlite", "postgresql"]


@pytest.fixture
async def source(tmp_path: Path, migrated_file: Path) -> AsyncIterator[Place]:
    with prepared_database("sqlite", tmp_path / "source", migrated_file, None) as url:
        place = Place(url, tmp_path / "source")
        yield place
        await place.close()


@pytest.fixture(params=KINDS)
async def any_source(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> AsyncIterator[Place]:
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with prepared_database(request.param, tmp_path / "source", migrated_file, server) as url:
        place = Place(url, tmp_path / "source")
        yield place
        await place.close()


@pytest.fixture
async def target(target_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(target_url, tmp_path / "target")
    yield place
    await place.close()


async def moved(source: Place, target: Place, **own: list[Row]) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    """The rows before and after."""
    await source.fill(**own)
    before = await source.rows()
    await target.backups.run(await source.exported(), Importer())
    return before, await target.rows()


ENDED = [{"status": "completed"}, {"status": "failed"}]

ON_PURPOSE = {
    "accounts": {"token_epoch"},  # all log-ins end
    "download_sessions": {"closed_at"},  # it closes with its job, which ends
    "links": {"next_run_at"},  # computed anew
    "telegram_updates": {"body"},  # dealt with where the dump was made
}
"""What import changes, by column. The rows below go, or come."""
GONE = {"fetches", "one_time_codes", "ended_logins"}


def store(place: Place, *locations: str) -> None:
    for location in locations:
        file = place.directory / "media" / location
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


async def test_everything_comes_back_but_for_what_import_changes_on_purpose(any_source: Place, target: Place) -> None:
    source = any_source
    store(target, *(a_row(tables.media_files, number)["location"] for number in (1, 2)))
    before, after = await moved(source, target, jobs=ENDED)
    changed: dict[str, set[str]] = {}
    for name, rows in before.items():
        if name in GONE:
            assert after[name] == []
            continue
        if name in {"accounts", "kept_values", "audit_entries"}:  # the built-in account; how it went; that it was exported and imported
            keys = [column.name for column in tables.metadata.tables[name].primary_key.columns]
            known = {tuple(row[key] for key in keys) for row in rows}
            after[name] = [row for row in after[name] if tuple(row[key] for key in keys) in known]
        assert len(after[name]) == len(rows), name
        for old, new in zip(rows, after[name], strict=True):
            changed.setdefault(name, set()).update(column for column, value in old.items() if new[column] != value)
    assert {name: columns for name, columns in changed.items() if columns} == {
        name: columns for name, columns in ON_PURPOSE.items() if name != "download_sessions"
    }


async def test_jobs_that_were_under_way_have_failed(source: Place, target: Place) -> None:
    await source.fill(jobs=[{"status": "processing", "waits_for": "x"}, {"status": "completed"}])
    done = await target.backups.run(await source.exported(), Importer())
    first, second = (await target.rows())["jobs"]
    assert (first["status"], first["error_code"], first["waits_for"]) == ("failed", "interrupted_by_import", None)
    assert first["ended_at"] == target.clock.now()
    assert first["error_message"].endswith(".")
    assert second["status"] == "completed"
    assert done.failed_jobs == 1


async def test_the_session_of_a_job_that_was_under_way_closes_with_it(source: Place, target: Place) -> None:
    sessions: list[Row] = [{"closes_with_job": True, "closed_at": None}, {"closes_with_job": False, "closed_at": None}]
    _, after = await moved(source, target, jobs=[{"status": "pending"}, {"status": "pending"}], download_sessions=sessions)
    assert [row["closed_at"] for row in after["download_sessions"]] == [target.clock.now(), None]


async def test_links_are_due_at_once_unless_they_are_switched_off(source: Place, target: Place) -> None:
    _, after = await moved(source, target, jobs=ENDED)
    assert [(row["is_enabled"], row["next_run_at"]) for row in after["links"]] == [(True, target.clock.now()), (False, None)]


async def test_nothing_that_waits_for_an_answer_in_the_chat_starts_by_itself(source: Place, target: Place) -> None:
    _, after = await moved(source, target, jobs=ENDED, cards=[{"state": "offered", "asks": False}, {"state": "delivered", "asks": False}])
    assert [(row["asks"], row["starts_at"] is None) for row in after["cards"]] == [(True, True), (False, False)]


async def test_files_that_are_not_in_the_store_are_missing(source: Place, target: Place) -> None:
    (target.directory / "media" / "downloads").mkdir(parents=True)
    (target.directory / "media" / "downloads" / "here.mp3").write_bytes(b"x")
    files: list[Row] = [{"location": "downloads/here.mp3", "is_current": True}, {"location": "../../etc/passwd", "is_current": True}]
    await source.fill(jobs=ENDED, media_files=files)
    done = await target.backups.run(await source.exported(), Importer())
    assert [row["is_current"] for row in (await target.rows())["media_files"]] == [True, False]
    assert done.missing_files == 1


async def test_of_several_files_under_one_key_none_is_current_without_the_others(source: Place, target: Place) -> None:
    (target.directory / "media").mkdir(parents=True, exist_ok=True)
    (target.directory / "media" / "here.mp3").write_bytes(b"x")
    key = {"scope": "s", "extractor": "e", "media_id": "m", "selection": "x", "is_current": True}
    files: list[Row] = [{**key, "position": 0, "location": "here.mp3"}, {**key, "position": 1, "location": "gone.mp3"}]
    _, after = await moved(source, target, jobs=ENDED, media_files=files)
    assert [row["is_current"] for row in after["media_files"]] == [False, False]


async def test_a_job_shows_no_file_that_is_not_there(source: Place, target: Place) -> None:
    store(target, "here.mp3")
    _, after = await moved(source, target, jobs=ENDED, media_files=[{"location": "here.mp3"}, {"location": "gone.mp3"}])
    assert [row["media_file_id"] for row in after["job_files"]] == [1]


async def test_a_file_that_was_replaced_is_shown_as_long_as_it_is_there(source: Place, target: Place) -> None:
    store(target, "old.mp3", "new.mp3")
    key = {"scope": "s", "extractor": "e", "media_id": "m", "selection": "x", "position": 0}
    files = [{**key, "is_current": False, "location": "old.mp3"}, {**key, "is_current": True, "location": "new.mp3"}]
    _, after = await moved(source, target, jobs=ENDED, media_files=files)
    assert [row["media_file_id"] for row in after["job_files"]] == [1, 2]


async def test_what_replaced_a_missing_file_stays_current(source: Place, target: Place) -> None:
    store(target, "new.mp3")
    key = {"scope": "s", "extractor": "e", "media_id": "m", "selection": "x", "position": 0}
    files = [{**key, "is_current": False, "location": "old.mp3"}, {**key, "is_current": True, "location": "new.mp3"}]
    _, after = await moved(source, target, jobs=ENDED, media_files=files)
    assert [row["is_current"] for row in after["media_files"]] == [False, True]


@pytest.mark.parametrize("state", ["waiting", "sending"])
async def test_what_was_on_its_way_to_a_chat_is_not_sent_again_unasked(state: str, source: Place, target: Place) -> None:
    _, after = await moved(source, target, jobs=ENDED, deliveries=[{"state": state}, {"state": state}])
    assert [row["state"] for row in after["deliveries"]] == ["unsure", state]  # the second's job left nothing: a retry may bring it


async def test_a_file_whose_message_was_on_its_way_is_delivered(source: Place, target: Place) -> None:
    _, after = await moved(source, target, jobs=ENDED, deliveries=[{"state": "announcing"}, {}])
    assert after["deliveries"][0]["state"] == "delivered"


async def test_webhook_messages_that_waited_are_given_up(source: Place, target: Place) -> None:
    _, after = await moved(source, target, jobs=ENDED, webhook_messages=[{"state": "waiting", "ended_at": None}, {}])
    assert [row["state"] for row in after["webhook_messages"]] == ["given_up", "delivered"]
    assert after["webhook_messages"][0]["ended_at"] == target.clock.now()


# --- addresses that open something ------------------------------------------------------------------------------------------


async def feed_epochs(source: Place, target: Place, **own: list[Row]) -> list[int]:
    _, after = await moved(source, target, jobs=ENDED, **own)
    return [row["feed_epoch"] for row in after["links"]]


async def test_feeds_keep_their_addresses_in_a_new_installation(source: Place, target: Place) -> None:
    assert await feed_epochs(source, target, links=[{"feed_epoch": 0}, {"feed_epoch": 7}]) == [0, 7]


async def test_a_feed_keeps_its_address_where_the_link_is_the_same(source: Place, target: Place) -> None:
    await target.fill(jobs=ENDED, links=[{"feed_epoch": 3}, {"feed_epoch": 3}])
    assert await feed_epochs(source, target, links=[{"feed_epoch": 3}, {"feed_epoch": 3}]) == [3, 3]


async def test_an_address_of_a_feed_that_was_withdrawn_stays_so(source: Place, target: Place) -> None:
    await target.fill(jobs=ENDED, links=[{"feed_epoch": 5}, {"feed_epoch": 0}])
    assert await feed_epochs(source, target, links=[{"feed_epoch": 3}, {"feed_epoch": 3}]) == [5, 3]


OTHERS: dict[str, dict[str, list[Row]]] = {
    "account": {"links": [{"account_id": 2}, {}]},
    "name": {"accounts": [{"username": "eve"}, {}]},
    "address": {"links": [{"url_digest": "another"}, {}]},
}


@pytest.mark.parametrize("theirs", OTHERS.values(), ids=OTHERS)
async def test_no_address_of_a_feed_here_opens_anothers_in_the_dump(theirs: Any, source: Place, target: Place) -> None:
    await target.fill(jobs=ENDED, links=[{"feed_epoch": 3}, {"feed_epoch": 3}])
    own = {"links": [{"feed_epoch": 4}, {"feed_epoch": 3}], **theirs}
    first, second = await feed_epochs(source, target, **own)
    assert (first > 4, second) == (True, 3)


async def test_the_address_of_a_feed_whose_link_was_deleted_here_opens_nothing(source: Place, target: Place) -> None:
    await target.fill(jobs=ENDED, links=[{"feed_epoch": 3}, {"feed_epoch": 3}])
    async with target.database.writer.begin() as connection:
        await connection.execute(sa.delete(tables.links))
    assert min(await feed_epochs(source, target, links=[{"feed_epoch": 0}, {"feed_epoch": 0}])) > 1000


async def test_links_to_files_that_were_revoked_here_stay_so(source: Place, target: Place) -> None:
    store(target, *(a_row(tables.media_files, number)["location"] for number in (1, 2)))
    await target.fill(jobs=ENDED, job_files=[{"epoch": 9}, {"epoch": 0}])
    _, after = await moved(source, target, jobs=ENDED, job_files=[{"epoch": 8}, {"epoch": 8}])
    assert [row["epoch"] for row in after["job_files"]] == [9, 8]


# --- who is who -----------------------------------------------------------------------------------------------------------


async def test_all_log_ins_end_on_either_side(source: Place, target: Place) -> None:
    await target.fill(jobs=ENDED, accounts=[{"token_epoch": 5}, {"token_epoch": 40_000_000}])
    _, after = await moved(source, target, jobs=ENDED)
    assert len({row["token_epoch"] for row in after["accounts"]}) == 1
    assert after["accounts"][0]["token_epoch"] > 40_000_000


async def test_the_log_in_of_whoever_imports_goes_on(source: Place, target: Place) -> None:
    town = Town(target.database, target.clock)
    ada = await town.account("ada", is_superuser=True)
    other = Town(source.database, source.clock)
    assert (await other.account("ada")).id == ada.id
    eve = await other.account("eve")
    async with target.database.writer.begin() as connection:
        await connection.execute(sa.update(tables.accounts).where(tables.accounts.c.id == ada.id).values(token_epoch=3))
    async with target.database.read() as transaction:
        present = await transaction.accounts.get(ada.id)
    done = await target.backups.run(await source.exported(), Importer(account=present))
    async with target.database.read() as transaction:
        account, another = await transaction.accounts.get(ada.id), await transaction.accounts.get(eve.id)
    assert account is not None
    assert another is not None
    assert (account.token_epoch, done.must_log_in) == (3, False)
    assert another.token_epoch > 3


async def test_a_log_in_that_ended_during_the_import_stays_ended(source: Place, target: Place) -> None:
    asked = await Town(target.database, target.clock).account("ada", is_superuser=True)
    await Town(source.database, source.clock).account("ada")
    async with target.database.writer.begin() as connection:  # her password is reset while the dump is looked through
        await connection.execute(sa.update(tables.accounts).where(tables.accounts.c.id == asked.id).values(token_epoch=5))
    await target.backups.run(await source.exported(), Importer(account=asked))
    async with target.database.read() as transaction:
        present = await transaction.accounts.get(asked.id)
    assert present is not None
    assert present.token_epoch == 5


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_leaving": True}], ids=str)
async def test_whoever_was_blocked_during_the_import_has_to_log_in(change: dict[str, bool], source: Place, target: Place) -> None:
    asked = await Town(target.database, target.clock).account("ada", is_superuser=True)
    await Town(source.database, source.clock).account("ada")
    async with target.database.writer.begin() as connection:
        await connection.execute(sa.update(tables.accounts).where(tables.accounts.c.id == asked.id).values(**change))
    done = await target.backups.run(await source.exported(), Importer(account=asked))
    async with target.database.read() as transaction:
        present = await transaction.accounts.get(asked.id)
    assert present is not None
    assert (present.token_epoch > asked.token_epoch, done.must_log_in) == (True, True)


async def test_a_log_in_is_not_given_to_another_account_of_the_same_number(source: Place, target: Place) -> None:
    ada = await Town(target.database, target.clock).account("ada", is_superuser=True)
    eve = await Town(source.database, source.clock).account("eve")
    await Town(source.database, source.clock).account("ada")
    assert eve.id == ada.id
    done = await target.backups.run(await source.exported(), Importer(account=ada))
    async with target.database.read() as transaction:
        present = await transaction.accounts.get(eve.id)
    assert present is not None
    assert present.token_epoch > ada.token_epoch
    assert done.must_log_in


async def test_the_api_key_of_whoever_imports_goes_on(source: Place, target: Place) -> None:
    ada = await Town(target.database, target.clock).account("ada", is_superuser=True)
    await Town(source.database, source.clock).account("first")
    await Town(source.database, source.clock).account("ada")
    keys = ApiKeys(database=target.database, clock=target.clock)
    key, secret = await keys.create(actor(ada), ada, "mine")
    await target.backups.run(await source.exported(), Importer(account=ada, key_id=key.id))
    owner = await keys.owner_of(secret)
    assert owner is not None
    assert owner[1].username == "ada"


async def test_what_was_signed_out_of_stays_so(source: Place, target: Place) -> None:
    async with target.database.write() as transaction:
        await transaction.ended_logins.add("mine", target.clock.now() + timedelta(days=1))
    _, after = await moved(source, target, jobs=ENDED)
    assert [row["id"] for row in after["ended_logins"]] == ["mine"]


async def test_a_dump_without_the_built_in_account_is_refused(source: Place, target: Place) -> None:
    async with source.database.writer.begin() as connection:
        await connection.execute(sa.delete(tables.accounts))
    with pytest.raises(InvalidDump):
        await target.backups.run(await source.exported(), Importer())


async def test_a_number_that_only_history_knows_is_not_given_again(source: Place, target: Place) -> None:
    await source.fill(jobs=ENDED, history_entries=[{"link_id": 90}, {}])
    async with source.database.writer.begin() as connection:
        await connection.execute(sa.delete(tables.links))
    await target.backups.run(await source.exported(), Importer())
    async with target.database.writer.begin() as connection:
        values = {name: value for name, value in a_row(tables.links, 1).items() if name not in {"id", "download_session_id"}}
        added = await connection.execute(sa.insert(tables.links).values(**values | {"account_id": 0}).returning(tables.links.c.id))
        assert added.scalar_one() == 91


async def test_numbers_are_not_given_again(source: Place, target: Place) -> None:
    await source.fill(jobs=ENDED, audit_entries=[{"subject_id": 70}, {}], history_entries=[{"link_id": 90}, {}])
    await target.backups.run(await source.exported(), Importer())
    ada = await Town(target.database, target.clock).account("ada")
    assert ada.id == 71
    async with target.database.writer.begin() as connection:
        values = {name: value for name, value in a_row(tables.links, 3).items() if name != "id"} | {
            "account_id": 0,
            "download_session_id": None,
        }
        added = await connection.execute(sa.insert(tables.links).values(**values).returning(tables.links.c.id))
        assert added.scalar_one() == 91
        entry = await connection.execute(
            sa.insert(tables.audit_entries).values(at=NOW, action=Act.PAIRED.value).returning(tables.audit_entries.c.id)
        )
        assert entry.scalar_one() > 4


# --- secrets --------------------------------------------------------------------------------------------------------------


def sealed(text: str = "https://example.com/secret?token=1") -> str:
    return SEALED + VAULT.encrypt(text).decode()


DESCRIBED = sealed(written(DESCRIPTION))
SECRETS: dict[str, list[Row]] = {
    "jobs": [{"status": "completed", "url": sealed(), "callback_url": sealed()}, {"status": "completed", "url": "https://example.com/"}],
    "site_cookies": [{"content": sealed()}, {"content": sealed()}],
    "webhooks": [{"url": sealed(), "secret": sealed()}, {"url": None, "secret": sealed()}],
    "webhook_messages": [{"url": sealed(), "body": sealed()}, {"url": sealed(), "body": sealed()}],
    "cards": [{"url": sealed(), "description": DESCRIBED, "state": "offered"}, {"url": "https://example.com/", "description": DESCRIBED}],
    "links": [{"url": "https://example.com/", "cookies": sealed(), "callback_url": None}, {"url": sealed(), "cookies": None}],
    "link_items": [{"url": sealed()}, {"url": "https://example.com/"}],
}


async def test_under_the_same_key_secrets_are_as_they_were(source: Place, target: Place) -> None:
    before, after = await moved(source, target, **SECRETS)
    for name in SECRETS:
        secret = [{column: value for column, value in row.items() if str(value).startswith(SEALED)} for row in before[name]]
        assert [{column: row[column] for column in told} for row, told in zip(after[name], secret, strict=True)] == secret


@pytest.fixture
async def elsewhere(target_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """With another key."""
    place = Place(target_url, tmp_path / "target", vault=OTHER_VAULT)
    yield place
    await place.close()


async def test_under_another_key_secrets_need_re_entry(source: Place, elsewhere: Place) -> None:
    _, after = await moved(source, elsewhere, **SECRETS)
    assert [row["content"] for row in after["site_cookies"]] == [REENTRY, REENTRY]
    assert [(row["url"], row["secret"]) for row in after["webhooks"]] == [(REENTRY, REENTRY), (None, REENTRY)]
    assert after["webhook_messages"] == []
    assert [row["problem_code"] for row in after["links"]] == ["needs_reentry", "needs_reentry"]
    assert [(row["state"], row["cookies"]) for row in after["links"]] == [("paused", None), ("broken", None)]
    assert after["jobs"][0]["callback_url"] is None
    assert [row["description"] for row in after["cards"]] == [None, None]


async def test_under_another_key_nothing_is_left_that_cannot_be_read(source: Place, elsewhere: Place) -> None:
    _, after = await moved(source, elsewhere, **SECRETS)
    left = [value for rows in after.values() for row in rows for value in row.values() if str(value).startswith(SEALED)]
    assert set(left) == {REENTRY}
    assert MediaUrl.parse(after["jobs"][0]["url"])


async def test_under_another_key_whoever_needs_a_secret_is_told_to_give_it_again(source: Place, elsewhere: Place) -> None:
    await moved(source, elsewhere, **SECRETS)
    async with elsewhere.database.read() as transaction:
        with pytest.raises(NeedsReentry):
            await transaction.site_cookies.content_of(1, "site1")
        assert await transaction.webhooks.of_account(1) is None


async def test_how_many_secrets_are_lost_is_told(source: Place, elsewhere: Place) -> None:
    await source.fill(jobs=ENDED, site_cookies=SECRETS["site_cookies"])
    assert (await elsewhere.backups.run(await source.exported(), Importer())).lost_secrets == 2


def test_a_secret_that_needs_re_entry_says_so() -> None:
    with pytest.raises(NeedsReentry) as told:
        Sealing(VAULT).open(REENTRY)
    assert told.value.code == "needs_reentry"


async def test_a_secret_of_another_kind_is_one_that_cannot_be_read(source: Place, target: Place) -> None:
    own: dict[str, list[Row]] = {
        "jobs": [{"status": "completed", "url": sealed("a=cookie")}, {"status": "completed", "callback_url": sealed("a=cookie")}],
        "cards": [{"description": sealed("a=cookie")}, {"url": REENTRY}],
    }
    _, after = await moved(source, target, **own)
    assert [row["url"] for row in after["jobs"]] == ["https://needs-reentry.invalid/", own_address()]
    assert after["jobs"][1]["callback_url"] is None
    assert [row["description"] is None for row in after["cards"]] == [True, False]
    assert after["cards"][1]["url"] == "https://needs-reentry.invalid/"


def own_address() -> str:
    found: str = a_row(tables.jobs, 2)["url"]
    return found


# --- the swap --------------------------------------------------------------------------------------------------------------


async def test_what_was_there_is_kept_as_a_dump_that_can_be_imported(source: Place, target: Place) -> None:
    await target.fill(jobs=ENDED, accounts=[{"username": "mine"}, {}])
    before = await target.rows()
    done = await target.backups.run(await source.exported(), Importer())
    assert done.kept_as is not None
    kept = target.directory / done.kept_as
    assert kept.stat().st_mode & 0o777 == 0o600
    await target.backups.run(kept, Importer())
    after = await target.rows()
    assert [row["id"] for row in after["jobs"]] == [row["id"] for row in before["jobs"]]
    assert "mine" in [row["username"] for row in after["accounts"]]


async def test_a_failure_in_the_swap_leaves_everything_as_it_was(source: Place, target: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await source.fill(jobs=ENDED)
    await target.fill(jobs=ENDED)
    before, dump = await target.rows(), await source.exported()

    def broken() -> Any:
        yield from real()[:-1]
        raise OSError("the disk is full")

    real = swap.moved
    calls = iter([real, broken])

    def first_sound_then_broken() -> Any:  # what was there has gone by then
        return next(calls)()

    monkeypatch.setattr(swap, "moved", first_sound_then_broken)
    with pytest.raises(OSError, match="full"):
        await target.backups.run(dump, Importer())
    assert await target.rows() == before
    assert list((target.directory / "backups").glob("before-import-*")) == []
    assert (await target.backups.last()).state is ImportState.FAILED
    assert target.standstill.asked[-1] == "end"


async def test_an_unsound_dump_changes_nothing_and_stops_nothing(source: Place, target: Place) -> None:
    await source.fill(jobs=ENDED)
    await target.fill(jobs=ENDED)
    before, dump = await target.rows(), await source.exported()
    dump.write_bytes(dump.read_bytes().replace(b"'completed'", b"'comp1eted'"))
    with pytest.raises(InvalidDump):
        await target.backups.run(dump, Importer())
    assert await target.rows() == before
    assert target.standstill.asked == []
    assert [file for file in (target.directory / "backups").rglob("*") if file.is_file()] == []


PLANTED: dict[str, tuple[str, Row]] = {
    "a state that nobody knows": ("jobs", {"status": "nonsense"}),
    "an address that is none": ("jobs", {"url": "not an address"}),
    "a path outside": ("job_files", {"path": "../../etc/passwd"}),
    "settings that are no object": ("kept_values", {"name": "settings", "value": "[]"}),
    "JSON of another shape": ("history_entries", {"files": 5}),
    "a text that is too long for PostgreSQL": ("jobs", {"payer": "x" * 500}),
    "a number that is too large for PostgreSQL": ("jobs", {"position": 5_000_000_000}),
    "a number that leaves no room": ("accounts", {"token_epoch": 2**31 - 1}),
}


@pytest.mark.parametrize(("table", "planted"), PLANTED.values(), ids=PLANTED)
async def test_what_means_nothing_is_refused_before_anything_stops(table: str, planted: Row, source: Place, target: Place) -> None:
    own: dict[str, list[Row]] = {"jobs": [dict(row) for row in ENDED]}
    own[table] = [{**own.get(table, [{}])[0], **planted}, {**own.get(table, [{}, {}])[1]}]
    await source.fill(**own)
    await target.fill(jobs=ENDED)
    before = await target.rows()
    with pytest.raises(InvalidDump, match=table):
        await target.backups.run(await source.exported(), Importer())
    assert await target.rows() == before
    assert target.standstill.asked == []


EXTREMES: dict[str, list[Row]] = {
    "jobs": [
        {
            "status": "completed",
            "payer": "🙂" * 80,
            "title": "🙂'\\\n" * 100_000,
            "position": 2**31 - 1,
            "total_bytes": 2**63 - 1,
            "downloaded_bytes": -(2**63),
            "speed": sys.float_info.max,
            "eta": 5e-324,
            "created_at": datetime(1970, 1, 1, tzinfo=UTC),
            "ended_at": datetime(8999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        },
        {"status": "failed", "title": "", "speed": -sys.float_info.max, "eta": -0.1, "max_items": 0, "total_bytes": 10**18, "payer": ""},
    ],
    "links": [
        {"chat_id": -(2**63), "thread_id": 2**63 - 1, "cookies_until": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "tags": []},
        {},
    ],
    "cards": [{"picture": b""}, {"picture": b"\0" * 200_000}],
    "history_entries": [{"files": [], "link_id": 2**53}, {"files": ["🙂" * 1000] * 1000}],
}


async def test_the_extremes_of_every_kind_come_back(any_source: Place, target: Place) -> None:
    before, after = await moved(any_source, target, **EXTREMES)
    for table, rows in EXTREMES.items():
        for old, new, given in zip(before[table], after[table], rows, strict=True):
            assert {name: new[name] for name in given} == {name: old[name] for name in given}


async def test_what_was_imported_can_be_imported_again_whatever_its_epochs_were(source: Place, target: Place) -> None:
    most = {"token_epoch": 2**30}
    await source.fill(jobs=[{"status": "completed", "attempt": 2**30, "seq": 2**30}, ENDED[1]], accounts=[most, most])
    await target.backups.run(await source.exported(), Importer())
    for _ in range(3):
        done = await target.backups.run(await target.exported(), Importer())
    assert done.state is ImportState.DONE


async def test_an_import_is_in_the_audit_trail_and_says_how_it_went(source: Place, target: Place) -> None:
    with pytest.raises(ImportNotFound):
        await target.backups.last()
    await moved(source, target, jobs=ENDED, audit_entries=[{"action": Act.PAIRED.value}, {"action": Act.UNPAIRED.value}])
    async with target.database.read() as transaction:
        entries, _ = await transaction.audit.page()
    assert entries[0].action is Act.DATABASE_IMPORTED
    again = Place(target.url, target.directory)
    try:
        told = await again.backups.last()  # as after a restart
    finally:
        await again.close()
    assert (told.state, told.counts["jobs"], told.missing_files) == (ImportState.DONE, 2, 2)
    assert told.kept_as is not None
    assert (target.directory / told.kept_as).is_file()


async def test_two_imports_at_once_are_refused(source: Place, target: Place) -> None:
    dump = await source.exported()
    target.backups.start(dump, Importer())
    with pytest.raises(ImportUnderWay):
        target.backups.start(dump, Importer())
    await target.backups.close()


async def test_what_was_replaced_goes_after_a_week(source: Place, target: Place) -> None:
    await target.backups.run(await source.exported(), Importer())
    target.clock.time = NOW.now(NOW.tzinfo)
    assert await target.backups.sweep() == 0
    target.clock.move(KEPT_FOR + timedelta(minutes=1))
    assert await target.backups.sweep() == 1


async def test_an_export_shows_one_moment_while_others_write(any_source: Place, target: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    source = any_source
    await source.fill(jobs=ENDED)
    monkeypatch.setattr("storage.backup.PIECE", 1)
    pieces = source.dumps.export(source.clock.now())
    dump = await anext(pieces) + await anext(pieces)  # with the first table it has begun to look
    async with source.database.writer.begin() as connection:
        await connection.execute(sa.delete(tables.deliveries))
    dump += b"".join([piece async for piece in pieces])
    (source.directory / "dump.sql").write_bytes(dump)
    await target.backups.run(source.directory / "dump.sql", Importer())
    assert len((await target.rows())["deliveries"]) == 2


# --- jobs of the running service ------------------------------------------------------------------------------------------


async def test_live_jobs_are_cancelled_and_leave_nothing_in_the_queue(source: Place, target_url: str, tmp_path: Path) -> None:
    dump = await source.exported()
    async with living(House(target_url, tmp_path / "house")) as house:
        house.web.gate = asyncio.Event()
        house.web.pages |= {f"https://example.com/{number}": b"x" * 10 for number in range(3)}
        jobs = [await house.submit(str(number)) for number in range(3)]
        await house.web.reached.wait()
        place = Place(target_url, tmp_path / "target", vault=VAULT, database=house.database, downloads=house.downloads, media=house.media)
        place.standstill.empty_queue = house.engine.forget  # type: ignore[method-assign,assignment]
        await place.backups.run(dump, Importer())
        house.web.gate.set()
        assert house.web.cancelled == 1 or house.engine.running == 0
        assert await house.engine.known(jobs) == set()
        assert await house.engine.ended(datetime.now(UTC) + timedelta(days=1)) == []  # an id that ended never runs again
        assert {job.status for job in house.seen if job.id == jobs[0].id} >= {JobStatus.CANCELLED}
        async with house.database.read() as transaction:
            assert await transaction.jobs.live() == []
        again = await house.submit("2")
        await house.completed(again)


# --- other versions, other programs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005"])
async def test_a_dump_of_an_older_version_is_brought_up_to_date(revision: str, target: Place, tmp_path: Path) -> None:
    await target.backups.run(await older_dump(tmp_path, revision, created_by="api"), Importer())
    assert [row["id"] for row in (await target.rows())["download_sessions"]] == [UUID(int=1)]


async def test_what_means_nothing_is_refused_in_a_dump_of_an_older_version_too(target: Place, tmp_path: Path) -> None:
    dump = await older_dump(tmp_path, "0003", created_by="nobody")
    with pytest.raises(InvalidDump, match="created_by"):
        await target.backups.run(dump, Importer())
    assert target.standstill.asked == []


async def older_dump(directory: Path, revision: str, *, created_by: str) -> Path:
    """Of a database that was never brought further than that, with one download session."""
    old, dump = directory / "old.db", directory / "old.sql"
    await upgrade(f"sqlite:///{old}", revision)
    with closing(sqlite3.connect(old)) as connection:
        connection.execute(
            "INSERT INTO download_sessions (id, folder, created_by, closes_with_job, created_at, last_activity)"
            " VALUES (?, ?, ?, 0, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000')",
            (UUID(int=1).hex, UUID(int=2).hex, created_by),
        )
        connection.commit()
        dump.write_bytes(as_dump(connection, revision))
    return dump


def as_dump(connection: sqlite3.Connection, revision: str) -> bytes:
    """As that version would have written it."""
    from storage import dumps
    from storage.dump_reading import shapes_of

    names = [table.name for table in tables.metadata.sorted_tables]
    found = sorted(shapes_of(connection).values(), key=lambda shape: names.index(shape.name))
    keyed = [dumps.TableShape(name=shape.name, columns=shape.columns, key=(shape.columns[0].name,)) for shape in found]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dumps, "shapes", lambda: keyed)
        header = dumps.Header(revision=revision, key=VAULT.fingerprint, made_at=NOW, version="0.0")
        return b"".join(dumps.sqlite_dump(connection, header))


async def test_a_dump_of_a_newer_version_is_refused(source: Place, target: Place) -> None:
    dump = await source.exported()
    dump.write_bytes(dump.read_bytes().replace(b'"revision": "0', b'"revision": "9'))
    with pytest.raises(InvalidDump):
        await target.backups.run(dump, Importer())
    with pytest.raises(InvalidDump, match="newer version"):
        target.backups.check_beginning(dump.read_bytes()[:4096])


async def test_both_databases_load_a_dump_by_themselves(any_source: Place, target: Place) -> None:
    """As somebody would who has no Magpie at hand, but its tables. Pictures of cards are their base64 text then."""
    source = any_source
    await source.fill(jobs=ENDED)
    before, text = await source.rows(), (await source.exported()).read_text()
    if target.database.is_sqlite:
        with closing(sqlite3.connect(target.url.removeprefix("sqlite:///"))) as connection:
            connection.execute("DELETE FROM accounts")
            connection.executescript(text)
    else:
        plain = await asyncpg.connect(target.url)
        await plain.execute("DELETE FROM accounts")
        await plain.execute(text)
        await plain.close()
    after = await target.rows()
    for name, rows in before.items():
        for old, new in zip(rows, [one for one in after[name] if one.get("action") != Act.DATABASE_EXPORTED.value], strict=True):
            assert {**new, "picture": None} == {**old, "picture": None}
    assert QUIRKS in before["jobs"][0]["title"]
