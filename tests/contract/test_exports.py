"""Everything that is held of an account, to take away: on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from typing import Any

from service import exports
from service.exports import Exports
from storage import tables
from storage.database import SqlDatabase
from tests.contract.test_pairing import had, met
from tests.support.fakes import FakeClock
from tests.support.people import Town, actor


async def told(town: Town, account_id: int) -> dict[str, Any]:
    account = await town.accounts.get(account_id)
    return {page.name: json.loads(page.content) async for page in Exports(town.database).pages(account)}


async def test_all_that_is_held_is_told_and_no_secret(database: SqlDatabase, clock: FakeClock) -> None:
    town = Town(database, clock)
    user = await met(town)
    await had(town, user.account_id, user.download_session_id, "film")
    account = await town.accounts.get(user.account_id)
    _, secret = await town.keys.create(actor(account), account, "my key")
    await town.jars.put(actor(account), account.id, "example.com", '{"sid": "s3cr3t"}')
    pages = await told(town, account.id)
    assert pages["account.json"]["username"] == "tg-4711"
    assert [job["url"] for job in pages["jobs.json"]] == ["https://example.com/film"]
    assert [entry["title"] for entry in pages["history.json"]] == ["film"]
    assert [key["name"] for key in pages["api_keys.json"]] == ["my key"]
    assert [one["site"] for one in pages["cookies.json"]] == ["example.com"]
    everything = json.dumps(pages)
    assert secret not in everything
    assert "s3cr3t" not in everything


async def test_nothing_of_another_is_in_it(database: SqlDatabase, clock: FakeClock) -> None:
    town = Town(database, clock)
    ann = await town.account("ann")
    user = await met(town)
    await had(town, user.account_id, user.download_session_id, "film")
    assert "film" not in json.dumps(await told(town, ann.id))
    assert await Exports(database).files(ann) == []


def test_every_table_that_names_an_account_is_told_of() -> None:
    names = {"account_id", "owner_id", "subject_id"}
    assert {table.name for table in tables.metadata.sorted_tables if names & {column.name for column in table.columns}} == exports.HANDLED
