from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from service.errors import LinkExpired, LinkInvalid
from service.signed_links import SignedLinks
from storage.vault import MultiFernetVault
from tests.support.fakes import FakeClock

PATH = "/media/downloads/a/b/c d.mp3"


@pytest.fixture
def links(clock: FakeClock) -> SignedLinks:
    return SignedLinks(MultiFernetVault(["k" * 16]), clock)


def parts(query: str) -> tuple[str, str]:
    found = parse_qs(query.removeprefix("?"))
    return found["e"][0], found["s"][0]


def test_a_signed_link_opens_its_path_until_it_expires(links: SignedLinks, clock: FakeClock) -> None:
    expiry, signature = parts(links.sign(PATH, purpose="media", ttl=timedelta(hours=1)))
    links.check(PATH, purpose="media", expiry=expiry, signature=signature)
    links.check(PATH + "/", purpose="media", expiry=expiry, signature=signature)
    clock.move(timedelta(hours=1, seconds=2))
    with pytest.raises(LinkExpired):
        links.check(PATH, purpose="media", expiry=expiry, signature=signature)


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/media/downloads/a/b/other.mp3"},
        {"purpose": "status"},
        {"epoch": 1},
        {"expiry": "99999999999"},
        {"expiry": "x"},
        {"expiry": "٣"},
        {"expiry": ""},
        {"signature": "x"},
        {"signature": "ü"},
        {"signature": ""},
    ],
)
def test_any_change_makes_a_link_invalid(links: SignedLinks, change: dict[str, object]) -> None:
    expiry, signature = parts(links.sign(PATH, purpose="media", ttl=timedelta(hours=1)))
    asked = {"path": PATH, "purpose": "media", "expiry": expiry, "signature": signature, "epoch": 0, **change}
    with pytest.raises(LinkInvalid):
        links.check(asked.pop("path"), **asked)  # type: ignore[arg-type]


def test_a_link_signed_with_an_older_key_still_opens(clock: FakeClock) -> None:
    old = SignedLinks(MultiFernetVault(["old key old key old"]), clock)
    expiry, signature = parts(old.sign(PATH, purpose="media", ttl=timedelta(hours=1)))
    rotated = SignedLinks(MultiFernetVault(["new key new key new", "old key old key old"]), clock)
    rotated.check(PATH, purpose="media", expiry=expiry, signature=signature)
    with pytest.raises(LinkInvalid):
        SignedLinks(MultiFernetVault(["new key new key new"]), clock).check(PATH, purpose="media", expiry=expiry, signature=signature)
