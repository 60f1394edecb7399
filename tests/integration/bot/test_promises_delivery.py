"""What was promised of files on their way: strange answers, albums, a store that fails, and whose media the vault may hold."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.connection import Request
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, Picture, chatting, jpeg, labels

VAULT = -100_900
ADDRESS, LIST = "https://example.com/1", "https://example.com/list"
LIMIT = 3000


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.patience.PAUSES", (0.05,))


async def asked_for_a_list_of_one(house: ChatHouse, address: str = ADDRESS, *, list_address: str = LIST) -> None:
    """What is in a list comes as a message, not on the card."""
    house.web.lists[list_address] = [address]
    alice = house.api.user(ALICE)
    await alice.says(list_address)
    await alice.presses(await house.until_sent(ALICE, "1 items"), "Best video")


def called(house: ChatHouse, method: str) -> int:
    return len([call for call in house.api.calls if call.method == method])


# --- an answer that cannot be read ------------------------------------------------------------------------------------


class Garbling:
    """Something between Telegram and us: requests go through, and the answers to the next `left` of them are replaced."""

    def __init__(self, method: str, answer: bytes) -> None:
        self._method, self._answer = method, answer
        self.left = 0

    def stands_in(self, patch: pytest.MonkeyPatch) -> None:
        garbling = self

        class GarbledRequest(Request):
            async def do_request(self, url: str, *args: Any, **more: Any) -> tuple[int, bytes]:
                code, payload = await super().do_request(url, *args, **more)
                return garbling.answer(url, code, payload)

        patch.setattr("bot.connection.Request", GarbledRequest)

    def answer(self, url: str, code: int, payload: bytes) -> tuple[int, bytes]:
        if self.left == 0 or not url.endswith(f"/{self._method}"):
            return code, payload
        self.left -= 1
        return 200, self._answer


UNREADABLE = [
    pytest.param(b"<html><body>Welcome to the hotel's network</body></html>", id="a-page"),
    pytest.param(b"", id="nothing"),
    pytest.param(b'{"ok": true, "result": {"message_id": 7, "da', id="half"),
]


@pytest.mark.parametrize("answer", UNREADABLE)
async def test_an_answer_that_cannot_be_read_is_sent_at_most_twice_and_then_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    garbling = Garbling("sendVideo", answer)
    garbling.stands_in(monkeypatch)
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        garbling.left = 9
        await asked_for_a_list_of_one(house)
        told = await house.until_sent(ALICE, "may be there already")
        await house.settled()
        assert labels(told) == ["📨 Send again"]
        assert called(house, "sendVideo") == len(house.files(ALICE)) == 2


async def test_what_may_be_there_is_sent_once_more_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    garbling = Garbling("sendVideo", b"<html>")
    garbling.stands_in(monkeypatch)
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        garbling.left = 2
        await asked_for_a_list_of_one(house)
        told = await house.until_sent(ALICE, "may be there already")
        await house.settled()
        await house.api.user(ALICE).presses(told, "Send again")
        await house.until_sent(ALICE, "✅ 1 of 1")
        await house.settled()
        assert len(house.files(ALICE)) == 3


async def test_an_album_whose_answer_cannot_be_read_is_sent_at_most_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    garbling = Garbling("sendMediaGroup", b"<html>")
    garbling.stands_in(monkeypatch)
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        garbling.left = 9
        await house.api.user(ALICE).says(house.add_post("post", [Picture(content=jpeg(320 + number)) for number in range(3)]))
        told = await house.until_sent(ALICE, "may be there already")
        await house.settled()
        assert labels(told) == ["📨 Send again"]
        assert len(house.files(ALICE)) == 2 * 3


async def test_a_card_whose_answers_cannot_be_read_is_still_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    garbling = Garbling("editMessageMedia", b"<html>")
    garbling.stands_in(monkeypatch)
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        garbling.left = 4
        await house.api.user(ALICE).says(ADDRESS)
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert (garbling.left, len(house.api.sent(ALICE))) == (0, 1)


# --- what the vault may hold ------------------------------------------------------------------------------------------


async def test_what_a_secret_address_leads_to_is_not_copied_to_the_vault(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        await house.api.user(ALICE).says(house.add("hidden?token=s3cr3t"))
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert house.api.messages(VAULT) == []


async def test_an_item_of_a_secret_list_is_not_copied_to_the_vault(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        await asked_for_a_list_of_one(house, list_address="https://example.com/list?token=s3cr3t")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert house.api.messages(VAULT) == []


async def test_a_forwarded_post_had_back_is_not_copied_to_the_vault(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        alice = house.api.user(ALICE)
        await alice.forwards_post(house.api.channel(-100_901, "News"), kind="video", content=b"film" * 100, caption="A film")
        await house.until_sent(ALICE, "Saved")
        await alice.says("/history")
        await alice.presses(await house.until_sent(ALICE, "What you had"), "📨 1")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert house.api.messages(VAULT) == []


async def test_what_was_secret_for_one_is_in_the_vault_only_by_who_asked_openly(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, vault_chat=VAULT) as house:
        house.api.channel(VAULT, bot="administrator")
        for person, address in ((ALICE, house.add("film?token=s3cr3t")), (BOB, house.add("film"))):
            await house.api.user(person).says(address)
            await house.until_sent(person, kind="video")
            await house.settled()
        kept = [house.api.file_bytes(message["video"]["file_id"]) for message in house.api.sent(VAULT)]
        assert kept == [house.web.pages["https://example.com/film"]]


# --- albums -----------------------------------------------------------------------------------------------------------


def a_post_with_a_large_one() -> list[Picture]:
    return [Picture(content=jpeg(320)), Picture(content=jpeg(640) + bytes(4000)), Picture(content=jpeg(321))]


async def albums(house: ChatHouse, post: list[Picture]) -> list[list[dict[str, Any]]]:
    """The messages with files, those of one album together."""
    await house.api.user(ALICE).says(house.add_post("post", post))
    await house.until_sent(ALICE, "✅ Done")
    await house.settled()
    found: dict[str, list[dict[str, Any]]] = {}
    for message in house.files(ALICE):
        found.setdefault(message.get("media_group_id", str(message["message_id"])), []).append(message)
    return list(found.values())


async def test_of_a_post_with_a_file_over_the_limit_the_rest_comes_as_an_album(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, upload_limit=LIMIT, public_url="https://magpie.example.org") as house:
        (album,) = await albums(house, a_post_with_a_large_one())
        assert [message["photo"][-1]["width"] for message in album] == [320, 321]
        assert [message.get("caption") for message in album] == ["Post post\nArtist\nexample.com", None]


async def test_a_posts_file_over_the_limit_comes_as_a_link(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, upload_limit=LIMIT, public_url="https://magpie.example.org") as house:
        await albums(house, a_post_with_a_large_one())
        (link,) = [message for message in house.api.sent(ALICE) if "Here is a link" in message.get("text", "")]
        (button,) = link["reply_markup"]["inline_keyboard"][0]
        assert button["url"].startswith("https://magpie.example.org/downloads/")


async def test_a_posts_file_over_the_limit_is_said_where_there_is_no_link(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, upload_limit=LIMIT) as house:
        await albums(house, a_post_with_a_large_one())
        assert len([message for message in house.api.sent(ALICE) if "MAGPIE_PUBLIC_URL" in message.get("text", "")]) == 1


async def test_a_post_whose_first_is_over_the_limit_still_has_its_caption_on_the_first_that_comes(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, upload_limit=LIMIT, public_url="https://magpie.example.org") as house:
        film = Picture(content=bytes(4000), extension="mp4")
        (album,) = await albums(house, [film, Picture(content=jpeg(320)), Picture(content=jpeg(321))])
        assert [message.get("caption") for message in album] == ["Post post\nArtist\nexample.com", None]


async def test_a_post_whose_first_is_a_video_is_one_album_with_its_caption_on_the_video(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        film = Picture(content=bytes(100), extension="mp4")
        (album,) = await albums(house, [film, Picture(content=jpeg(320)), Picture(content=jpeg(321))])
        assert [kind for message in album for kind in ("photo", "video") if kind in message] == ["video", "photo", "photo"]
        assert [message.get("caption") for message in album] == ["Post post\nArtist\nexample.com", None, None]


# --- a store that cannot be read --------------------------------------------------------------------------------------


class FailingStore:
    """Stored files are not on this machine, and reading them fails."""

    def __init__(self, number: int) -> None:
        self._number = number

    def stands_in(self, house: ChatHouse, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(house.media, "local_path", self.local_path)
        patch.setattr(house.media, "read", self.read)

    def local_path(self, location: str) -> Path | None:
        del location
        return None

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        del end
        if start == 0:
            raise OSError(self._number, "/srv/magpie/secret", location)
        yield b""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EHOSTUNREACH])
async def test_a_file_that_cannot_be_read_is_said_in_one_sentence_with_send_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        FailingStore(number).stands_in(house, monkeypatch)
        await house.api.user(ALICE).says(ADDRESS)
        told = await house.until_sent(ALICE, "⚠️")
        await house.settled()
        assert "⚠️ The file could not be sent to Telegram.\nJob " in told["text"]
        assert labels(told) == ["📨 Send again"]


async def test_a_file_that_can_be_read_again_is_sent_on_its_card_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        with monkeypatch.context() as patch:
            FailingStore(errno.EIO).stands_in(house, patch)
            await house.api.user(ALICE).says(ADDRESS)
            told = await house.until_sent(ALICE, "could not be sent")
            await house.settled()
        await house.api.user(ALICE).presses(told, "Send again")
        file = await house.until_sent(ALICE, kind="video")
        await house.settled()
        assert house.api.sent(ALICE) == [file]
        assert house.web.fetched == [ADDRESS]


async def test_an_item_that_can_be_read_again_is_sent_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        with monkeypatch.context() as patch:
            FailingStore(errno.EIO).stands_in(house, patch)
            await asked_for_a_list_of_one(house)
            told = await house.until_sent(ALICE, "could not be sent")
            await house.settled()
        await house.api.user(ALICE).presses(told, "Send again")
        await house.until_sent(ALICE, "✅ 1 of 1")
        await house.settled()
        assert len(house.files(ALICE)) == 1


async def test_an_album_that_cannot_be_read_is_said_and_sent_whole_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        with monkeypatch.context() as patch:
            FailingStore(errno.EIO).stands_in(house, patch)
            await house.api.user(ALICE).says(house.add_post("post", [Picture(content=jpeg(320 + number)) for number in range(3)]))
            told = await house.until_sent(ALICE, "could not be sent")
            await house.settled()
        await house.api.user(ALICE).presses(told, "Send again")
        await house.until_sent(ALICE, "✅ Done")
        assert len(house.files(ALICE)) == 3
