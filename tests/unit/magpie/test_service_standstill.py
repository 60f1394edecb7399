"""What of the real service may look into the database or write to it, stands still while an import takes the place of what is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from magpie.app import Service
from magpie.config import Config
from service.health import Stage
from storage.migrate import upgrade


@pytest.fixture
async def service(tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Service]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    service = Service(Config(_env_file=None, data_dir=tmp_path / "data", port=unused_tcp_port))
    await upgrade(service.config.database)
    service.state.move_to(Stage.READY)
    try:
        yield service
    finally:
        await service._stop_chat()
        await service._stop_people()
        await service._database.close()
        root.handlers = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)


async def test_no_loop_looks_into_the_database(service: Service) -> None:
    await service._start_loops()
    loops = list(service._loops)
    await service.backups._standstill.begin()
    assert loops
    assert [loop.get_name() for loop in loops if not loop.done()] == []


async def test_the_chores_of_the_hour_have_ended(service: Service) -> None:
    service._chores = asyncio.create_task(asyncio.Event().wait(), name="chores")
    chores = service._chores
    await service.backups._standstill.begin()
    assert chores is not None
    assert chores.cancelled()


async def test_no_letter_to_an_account_of_before_is_still_written(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    async def slow(_email: str) -> None:
        await asyncio.sleep(0.1)
        ended.set()

    monkeypatch.setattr(service.people.logins, "_send_reset", slow)
    await service.people.logins.request_reset("ann@example.org", "127.0.0.1")
    await service.backups._standstill.begin()
    assert ended.is_set()


async def test_the_use_of_a_key_of_before_is_not_written_down_for_the_key_that_has_its_number_now(service: Service) -> None:
    await service.backups._standstill.begin()
    service.people.keys._used[1] = service._clock.now()  # of a request that ended last
    await service.backups._standstill.end()
    assert service.people.keys._used == {}
