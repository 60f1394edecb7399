"""What is written or looked for never stands in an error's text: it may be an address, a name, a credential."""

from __future__ import annotations

import traceback

import pytest
import sqlalchemy as sa

from service.chat import ReceivedUpdate
from storage import tables
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock

SECRET = "s3cr3t-parameter"
NOWHERE = sa.text("select 1 from nowhere where name = :name")


def text_of(error: BaseException) -> str:
    """All that a log with the traceback would show."""
    return "".join(traceback.format_exception(error))


async def test_what_a_constraint_refuses_is_not_in_the_error(database: SqlDatabase) -> None:
    row = {"name": SECRET, "value": SECRET}
    with pytest.raises(sa.exc.IntegrityError) as refused:
        async with database.writer.begin() as connection:
            await connection.execute(sa.insert(tables.kept_values).values([row, row]))
    assert SECRET not in text_of(refused.value)


async def test_what_a_failed_write_was_given_is_not_in_the_error(database: SqlDatabase) -> None:
    with pytest.raises(sa.exc.DBAPIError) as failed:
        async with database.writer.begin() as connection:
            await connection.execute(NOWHERE, {"name": SECRET})
    assert SECRET not in text_of(failed.value)


async def test_what_a_failed_read_looked_for_is_not_in_the_error(database: SqlDatabase) -> None:
    with pytest.raises(sa.exc.DBAPIError) as failed:
        async with database.reader.connect() as connection:
            await connection.execute(NOWHERE, {"name": SECRET})
    assert SECRET not in text_of(failed.value)


async def test_an_update_that_could_not_be_written_down_is_not_in_the_error(database: SqlDatabase, clock: FakeClock) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(tables.telegram_updates.drop)
    with pytest.raises(sa.exc.DBAPIError) as failed:
        async with database.write() as transaction:
            await transaction.updates.add([ReceivedUpdate(bot_id=1, update_id=1, body=SECRET, received_at=clock.now())])
    assert SECRET not in text_of(failed.value)
