"""`/web`: a link that signs in, once, and only where the pages can be reached."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service.errors import CodeInvalid
from service.logins import SIGN_IN_LIFE
from tests.support.chat_house import ALICE, ChatHouse, chatting
from tests.support.people import HERE


async def code_of(house: ChatHouse) -> str:
    await house.api.user(ALICE).says("/web")
    message = await house.until_sent(ALICE, "This signs you in")
    link = urlsplit(message["text"].split("\n")[1])
    assert (link.scheme, link.netloc, link.path) == ("https", "magpie.example.org", "/app/sign-in")
    return str(parse_qs(link.query)["code"][0])


async def test_the_link_signs_in_once_to_ones_own_account(tmp_path: Path) -> None:
    async with chatting(tmp_path, public_url="https://magpie.example.org/") as house:
        code = await code_of(house)
        login = await house.town.logins.sign_in(code, HERE)
        assert login.account.username == f"tg-{ALICE}"
        with pytest.raises(CodeInvalid):
            await house.town.logins.sign_in(code, HERE)


async def test_the_link_is_void_after_its_time(tmp_path: Path) -> None:
    async with chatting(tmp_path, public_url="https://magpie.example.org") as house:
        code = await code_of(house)
        house.town.clock.move(SIGN_IN_LIFE)
        with pytest.raises(CodeInvalid):
            await house.town.logins.sign_in(code, HERE)


async def test_a_newer_link_takes_the_place_of_the_older(tmp_path: Path) -> None:
    async with chatting(tmp_path, public_url="https://magpie.example.org") as house:
        first = await code_of(house)
        await house.api.until(lambda: len(house.api.sent(ALICE)) == 1)
        await house.api.user(ALICE).says("/web")
        await house.api.until(lambda: len(house.api.sent(ALICE)) == 2)
        with pytest.raises(CodeInvalid):
            await house.town.logins.sign_in(first, HERE)


async def test_without_a_public_address_it_says_how_to_set_one(tmp_path: Path) -> None:
    async with chatting(tmp_path) as house:
        await house.api.user(ALICE).says("/web")
        assert "MAGPIE_PUBLIC_URL" in (await house.until_sent(ALICE, "I cannot make a link"))["text"]


async def test_a_group_never_sees_one(tmp_path: Path) -> None:
    async with chatting(tmp_path, public_url="https://magpie.example.org") as house:
        group = house.api.group(-100_800, "Group")
        await house.api.user(ALICE).says("/web@magpie_bot", chat=group)
        await house.until_sent(group.id, "in a private chat only")
        assert not any("/app/sign-in" in text for text in house.api.texts())
