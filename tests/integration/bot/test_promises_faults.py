"""Deliveries that meet two faults at once, and answers and stores that are not even wrong in a known way."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from obstore.store import S3Store
from telegram.request import HTTPXRequest

from storage.media import S3Media
from tests.integration.bot.test_promises_delivery import FailingStore, Garbling, asked_for_a_list_of_one
from tests.support.chat_house import ALICE, AT_ONCE, Picture, chatting, jpeg, labels

ADDRESS = "https://example.com/1"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))


@pytest.mark.parametrize(("code", "words"), [(400, "Bad Request: VIDEO_CONTENT_TYPE_INVALID"), (403, "Forbidden: bot was kicked")])
async def test_an_item_whose_answer_was_lost_and_then_refused_is_not_said_to_have_come(tmp_path: Path, code: int, words: str) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        house.api.cut_next("sendVideo", after_accepting=False)
        house.api.fail_next("sendVideo", code, words)
        await asked_for_a_list_of_one(house)
        await house.settled()
        (told,) = house.api.sent(ALICE)
        assert "could not be sent" in told["text"]
        assert labels(told) == ["📨 Send again"]


async def test_of_an_album_whose_second_part_could_not_be_read_the_first_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        address = house.add_post("post", [Picture(content=jpeg(320 + number)) for number in range(12)])
        with monkeypatch.context() as patch:

            async def fail_from_now(method: str, arguments: dict[str, Any]) -> None:
                del arguments
                if method == "sendMediaGroup":
                    house.api.before_answer = None
                    FailingStore(errno.EIO).stands_in(house, patch)

            house.api.before_answer = fail_from_now
            await house.api.user(ALICE).says(address)
            told = await house.until_sent(ALICE, "could not be sent")
            await house.settled()
        await house.api.user(ALICE).presses(told, "Send again")
        await house.until_sent(ALICE, "✅ Done")
        await house.settled()
        assert [message["photo"][-1]["width"] for message in house.files(ALICE)] == [320 + number for number in range(12)]


@pytest.mark.parametrize("answer", [b"{}", b'{"ok": true}', b'{"ok": false}', b"[]", b"null"])
async def test_an_answer_without_a_result_is_one_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    garbling = Garbling("sendVideo", answer)
    monkeypatch.setattr("bot.connection.HTTPXRequest.do_request", _garbled(garbling))
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        garbling.left = 9
        await asked_for_a_list_of_one(house)
        told = await house.until_sent(ALICE, "may be there already")
        await house.settled()
        assert (labels(told), len(house.files(ALICE))) == (["📨 Send again"], 2)


def _garbled(garbling: Garbling) -> Any:
    real = HTTPXRequest.do_request

    async def do_request(self: Any, url: str, *args: Any, **more: Any) -> tuple[int, bytes]:
        code, payload = await real(self, url, *args, **more)
        return garbling.answer(url, code, payload)

    return do_request


async def test_a_bucket_that_cannot_be_reached_is_said_with_send_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = S3Store(
        "bucket",
        endpoint="http://127.0.0.1:9",
        access_key_id="x",
        secret_access_key="x",
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        bucket = S3Media(nowhere, tmp_path / "work")
        monkeypatch.setattr(house.media, "local_path", bucket.local_path)
        monkeypatch.setattr(house.media, "read", bucket.read)
        await house.api.user(ALICE).says(ADDRESS)
        told = await house.until_sent(ALICE, "⚠️")
        assert "could not be sent" in told["text"]
        assert labels(told) == ["📨 Send again"]
