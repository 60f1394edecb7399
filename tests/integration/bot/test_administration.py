"""`/users` and `/stats`: administrators see and change accounts; nobody else learns that there is such a thing. And quotas, in words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.bot_api import User
from service.accounts import AccountChange
from service.allowances import Allowance, Role
from service.errors import VideoPrivate
from service.failing_sites import FailingSite
from service.limits import Quotas
from service.members import Admission
from service.model import Account
from storage import tables
from tests.support.chat_house import ALICE, AT_ONCE, BOB, ChatHouse, RunningClock, chatting, labels
from tests.support.people import OPERATOR


async def met(house: ChatHouse, *numbers: int) -> list[User]:
    people = [house.api.user(number) for number in numbers]
    for person in people:
        await person.says("/help")
        await house.until_sent(person.id, "What I can do")
    return people


async def account(house: ChatHouse, number: int) -> Account:
    return await house.town.accounts.named(f"tg-{number}")


async def pressed(house: ChatHouse, person: User, message: dict[str, Any], button: str | None = None, data: str | None = None) -> str:
    query = await person.presses(message["message_id"], button, data=data, chat=person.id)
    await house.api.until(lambda: query in house.api.answers)
    return str(house.api.answers[query].get("text", ""))


async def page_of(house: ChatHouse, alice: User) -> dict[str, Any]:
    await alice.says("/users")
    return await house.until_sent(ALICE, "Accounts")


async def test_whoever_is_no_administrator_finds_no_such_command(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        (bob,) = await met(house, BOB)
        for command in ("/users", "/stats"):
            await bob.says(command)
        await house.api.until(lambda: len(house.api.sent(BOB)) == 3)
        assert [message["text"].split(".")[0] for message in house.api.sent(BOB)[1:]] == ["I do not know this command"] * 2


async def test_accounts_are_listed_with_role_and_what_they_use(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, quota=Quotas(RunningClock())) as house:
        alice, bob = await met(house, ALICE, BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, kind="video")
        await house.settled()
        page = await page_of(house, alice)
        assert f"2. tg-{BOB} · user\n1 of 200 downloads and 4 KB of 50 GB today, 4 KB of 50 GB stored" in page["text"]
        assert labels(page) == ["🚫 Block 2", "Trusted 2"], "nobody blocks themselves"


async def test_a_blocked_account_is_shut_out_and_let_in_again(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice, bob = await met(house, ALICE, BOB)
        page = await page_of(house, alice)
        assert await pressed(house, alice, page, "🚫 Block 2") == "Saved."
        await bob.says("/status")
        await house.until_sent(BOB, "Your account is blocked.")
        assert "blocked" in (await house.until_sent(ALICE, "Accounts"))["text"]
        await pressed(house, alice, page, "Unblock 2")
        await bob.says("/status")
        assert await house.until_sent(BOB, "Nothing is under way")


async def test_a_role_is_given_and_taken(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice, _ = await met(house, ALICE, BOB)
        page = await page_of(house, alice)
        await pressed(house, alice, page, "Trusted 2")
        assert (await account(house, BOB)).role is Role.TRUSTED
        await pressed(house, alice, page, "User 2")
        assert (await account(house, BOB)).role is Role.USER


async def test_who_did_it_is_in_the_audit_trail(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        alice, _ = await met(house, ALICE, BOB)
        await pressed(house, alice, await page_of(house, alice), "🚫 Block 2")
        async with house.database.read() as transaction:
            entries, _ = await transaction.audit.page()
        assert (entries[0].action, entries[0].account_id) == ("blocked", (await account(house, ALICE)).id)


async def test_the_last_superuser_is_not_blocked(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        (alice,) = await met(house, ALICE)
        await house.town.account("boss", is_superuser=True)
        assert "Nobody else could look after" in await pressed(house, alice, await page_of(house, alice), "🚫 Block 2")


async def test_an_administrators_own_account_cannot_be_blocked(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        (alice,) = await met(house, ALICE)
        own = await account(house, ALICE)
        assert "no longer leads anywhere" in await pressed(house, alice, await page_of(house, alice), data=f"users|{own.id}|block|0")
        assert (await account(house, ALICE)).is_active


@pytest.mark.parametrize("verb", ["block", "unblock", "trust", "user", "page"])
async def test_others_presses_change_nothing(tmp_path: Path, verb: str) -> None:
    async with chatting(tmp_path) as house:
        alice, bob = await met(house, ALICE, BOB)
        before = await account(house, ALICE)
        del alice
        shown = await house.until_sent(BOB)
        assert "no longer leads anywhere" in await pressed(house, bob, shown, data=f"users|{before.id}|{verb}|0")
        assert await account(house, ALICE) == before


@pytest.mark.parametrize(
    "data", ["users|x|block|0", "users|1|block|x", "users|1|superuser|0", "users||page", "users|9999999999999999999|page"]
)
async def test_a_button_that_is_none_leads_nowhere(tmp_path: Path, data: str) -> None:
    async with chatting(tmp_path) as house:
        (alice,) = await met(house, ALICE)
        assert "no longer leads anywhere" in await pressed(house, alice, await page_of(house, alice), data=data)


async def test_many_accounts_are_paged(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        (alice,) = await met(house, ALICE)
        for number in range(6):
            await house.town.account(f"user{number}")
        page = await page_of(house, alice)
        assert page["text"].endswith("1\u20135 of 7")
        await pressed(house, alice, page, "›")  # noqa: RUF001 - what stands on the button
        assert "6. user4" in (await house.until_sent(ALICE, "6\u20137 of 7"))["text"]


async def test_figures_tell_load_storage_and_failures_by_cause(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        alice, bob = await met(house, ALICE, BOB)
        await bob.says("https://example.com/1")
        await house.until_sent(BOB, kind="video")
        await bob.says(house.add("private"))
        house.web.failures["https://example.com/private"] = []
        await house.settled()
        async with house.database.writer.begin() as connection:
            await connection.execute(tables.history_entries.update().values(outcome="failure", code=VideoPrivate.code))
        await alice.says("/stats")
        figures = (await house.until_sent(ALICE, "Figures"))["text"]
        assert "Running: 0 · in the queue: 0\nStored: 8 KB in 2 files\nAccounts: 2" in figures
        assert "This video is private. private" in figures
        assert figures.split("\n")[-1].startswith("2 ")


async def test_a_failure_of_long_ago_is_not_told(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE) as house:
        (alice,) = await met(house, ALICE)
        await alice.says("https://example.com/1")
        await house.until_sent(ALICE, kind="video")
        await house.settled()
        async with house.database.writer.begin() as connection:
            await connection.execute(tables.history_entries.update().values(outcome="failure", code="private"))
        house.chat_clock.move(timedelta(days=2))
        await alice.says("/stats")
        assert await house.until_sent(ALICE, "Nothing failed in the last day.")


# --- quotas, in words -------------------------------------------------------------------------------------------------


async def limited(house: ChatHouse, allowance: Allowance) -> User:
    (bob,) = await met(house, BOB)
    await house.town.accounts.change(OPERATOR, (await account(house, BOB)).id, AccountChange(allowance=allowance))
    return bob


@pytest.mark.parametrize(
    ("allowance", "said"),
    [
        (Allowance(jobs_a_day=1), "You have reached your limit of downloads a day. It opens again in 24:00 h."),
        (Allowance(bytes_a_day=1), "You have reached your limit of gigabytes a day. It opens again in 24:00 h."),
    ],
)
async def test_a_card_that_a_quota_refuses_says_when_to_come_back(tmp_path: Path, allowance: Allowance, said: str) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, quota=Quotas(RunningClock())) as house:
        assert said in await refused(house, allowance)
        assert house.web.fetched == ["https://example.com/1"]


async def test_whoever_has_stored_too_much_is_told_what_makes_room_and_not_to_wait(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=AT_ONCE, quota=Quotas(RunningClock())) as house:
        told = await refused(house, Allowance(stored_bytes=1))
        assert "You have as much stored as you may: delete something with /sessions." in told
        assert "It opens again" not in told


async def refused(house: ChatHouse, allowance: Allowance) -> str:
    """What the second card says."""
    bob = await limited(house, allowance)
    await bob.says("https://example.com/1")
    await house.until_sent(BOB, kind="video")
    await house.settled()
    await bob.says("https://example.com/2")
    card = await house.until_sent(BOB, "⚠️")
    return str(card.get("text") or card["caption"])


async def test_a_button_that_a_quota_refuses_says_when_to_come_back(tmp_path: Path) -> None:
    async with chatting(tmp_path, start_delay=timedelta(seconds=60), quota=Quotas(RunningClock())) as house:
        bob = await limited(house, Allowance(jobs_a_day=1))
        await bob.says("https://example.com/1")
        await bob.presses(await house.until_sent(BOB, "Title 1"), "720p")
        await house.until_sent(BOB, kind="video")
        await house.settled()
        await bob.says("https://example.com/2")
        answer = await pressed(house, bob, await house.until_sent(BOB, "Title 2"), "720p")
        assert answer == "You have reached your limit of downloads a day. It opens again in 24:00 h."


# --- sites that fail --------------------------------------------------------------------------------------------------


async def test_every_administrator_is_told_of_a_failing_site_and_nobody_else(tmp_path: Path) -> None:
    carol = 30_003
    async with chatting(tmp_path, admission=Admission(admins=frozenset({ALICE}), open_to_all=True)) as house:
        await met(house, ALICE, BOB, carol)
        await house.town.accounts.change(OPERATOR, (await account(house, carol)).id, AccountChange(is_superuser=True))
        await house.chat.tell_of_failing_site(FailingSite(host="tube.example", failed=7, ended=8), "2026.10.26")
        for person in (ALICE, carol):
            text = (await house.until_sent(person, "tube.example"))["text"]
            assert all(words in text for words in ("7 of 8", "2026.10.26", "magpie update-extractors"))
        assert [message["text"] for message in house.api.sent(BOB) if "tube.example" in message["text"]] == []
