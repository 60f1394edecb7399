"""Nothing of what goes wrong inside reaches the chat: no token, cookie, path, proxy, traceback."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sandbox.bot_api import TOKEN
from service.errors import FetchFailed, fetch_failure
from service.model import JobStatus
from tests.support.chat_house import ALICE, ChatHouse, chatting

NASTY = (
    f'Traceback (most recent call last): File "/srv/magpie/data/secret.py" token={TOKEN} cookie: sid=C00K1E '
    "proxy http://user:pa55@10.0.0.7:3128 <b>x</b>"
)
MARKS = ("Traceback", "/srv/", "sandbox-token", "C00K1E", "pa55", "10.0.0.7", "secret.py", "Error(", "Exception")


def kinds(root: type[FetchFailed] = FetchFailed) -> list[type[FetchFailed]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


def leaked(house: ChatHouse) -> list[str]:
    """What the bot ever showed with any of it, and with any path of this machine."""
    marks = (*MARKS, str(house.root))
    return [text for text in house.api.texts() if any(mark in text for mark in marks)]


async def look_around(house: ChatHouse) -> None:
    """Every page that tells of jobs."""
    for command in ("/history", "/status"):
        await house.api.user(ALICE).says(command)
        await house.until_sent(ALICE, "What you had" if command == "/history" else "Nothing is under way")


async def test_no_failure_says_more_than_its_sentence(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice = house.api.user(ALICE)
        codes = sorted({kind.code for kind in kinds()})
        for code in codes:
            address = house.add(f"look-{code}")
            house.web.failures[address] = [fetch_failure(code, NASTY)]
            await alice.says(address)
        await house.api.until(lambda: len([m for m in house.api.sent(ALICE) if "⚠️" in m["text"]]) == len(codes))
        await house.settled()
        assert leaked(house) == []
        general = [m for m in house.api.sent(ALICE) if "The download failed." in m["text"]]
        assert len(general) == 1, "every code but the general one has a sentence of its own"


async def test_no_failure_of_a_job_says_more_than_its_sentence(tmp_path: Path) -> None:
    async with chatting(tmp_path, pages=[]) as house:
        alice = house.api.user(ALICE)
        codes = sorted({kind.code for kind in kinds()})
        house.web.lists["https://example.com/list"] = [house.add(f"job-{code}") for code in codes[:20]]
        for code in codes[:20]:
            house.web.failures[f"https://example.com/job-{code}"] = [fetch_failure(code, NASTY) for _ in range(3)]
        await alice.says("https://example.com/list")
        await alice.presses(await house.until_sent(ALICE, "20 items"), "Best video")
        await house.until_sent(ALICE, "⚠️")
        await house.settled()
        await look_around(house)
        assert {job.status for job in house.seen if job.parent_id and not job.status.is_live} == {JobStatus.FAILED}
        assert leaked(house) == []


async def test_a_bug_in_the_look_is_said_plainly(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.web.unexpected = RuntimeError(NASTY)
        await house.api.user(ALICE).says("https://example.com/1")
        told = await house.until_sent(ALICE, "Something went wrong on my side")
        assert "Job " in told["text"]
        assert leaked(house) == []


async def test_a_bug_in_the_download_is_said_plainly(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        house.web.gate = asyncio.Event()
        await house.api.user(ALICE).says("https://example.com/1")
        await house.until_sent(ALICE, "Starts by itself")
        house.web.unexpected = RuntimeError(NASTY)
        house.web.gate.set()
        await house.until_sent(ALICE, "Something went wrong on my side")
        await look_around(house)
        assert leaked(house) == []


class Broken:
    """A database that says too much."""

    def read(self) -> Any:
        raise sa.exc.OperationalError(NASTY, {"token": TOKEN}, Exception(NASTY))

    write = read


@pytest.mark.parametrize("part", ["_cards", "_members", "_histories"])
async def test_a_database_that_fails_in_a_handler_is_said_with_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    async with chatting(tmp_path) as house:
        alice = house.api.user(ALICE)
        await alice.says("/help")
        await house.until_sent(ALICE)
        owner = {
            "_cards": house.chat._parts.cards,
            "_members": house.chat._parts.members,
            "_histories": house.chat._parts.histories,
        }[part]
        monkeypatch.setattr(owner, "_database", Broken())
        await alice.says({"_cards": "https://example.com/1", "_members": "/help", "_histories": "/history"}[part])
        assert await house.until_sent(ALICE, "Something went wrong on my side")
        assert leaked(house) == []


async def test_a_database_that_fails_under_a_card_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path) as house:
        monkeypatch.setattr(house.chat._parts.deliveries, "_database", Broken())
        await house.api.user(ALICE).says("https://example.com/1")
        assert await house.until_sent(ALICE, "Something went wrong on my side")
        assert leaked(house) == []


async def test_a_disk_that_fails_under_a_post_is_said_with_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting(tmp_path) as house:

        def full(*_: object) -> Path:
            raise OSError(28, NASTY, "/srv/magpie")

        monkeypatch.setattr(house.chat._parts.posts, "room_for", full)
        channel = house.api.channel(-100_700)
        await house.api.user(ALICE).forwards_post(channel, kind="document", content=b"x", name="x.bin")
        assert await house.until_sent(ALICE, "Something went wrong on my side")
        assert leaked(house) == []


@pytest.mark.parametrize("words", [f"Bad Request: {NASTY}", f"Forbidden: {NASTY}"])
async def test_what_telegram_says_is_not_handed_on(tmp_path: Path, words: str) -> None:
    async with chatting(tmp_path) as house:
        house.api.fail_next("editMessageMedia", 400 if "Bad" in words else 403, words)
        alice = house.api.user(ALICE)
        await alice.says("https://example.com/1")
        await house.settled()
        await alice.says("/history")
        await house.until_sent(ALICE, "What you had")
        assert leaked(house) == []


async def test_the_leak_test_finds_what_leaks(tmp_path: Path) -> None:
    """The negative control: a failure whose message is shown is seen."""
    async with chatting(tmp_path) as house:
        address = house.add(f"told {TOKEN}")
        house.web.pages[address.replace(" ", "%20")] = b"x"
        await house.api.user(ALICE).says("/help")
        await house.until_sent(ALICE)
        await house.chat._bot.send_message(ALICE, NASTY)
        assert len(leaked(house)) == 1
