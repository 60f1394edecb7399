"""Posts out of gallery-dl's messages, and how far it is asked for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from gallery_dl import extractor as gallery_extractors  # type: ignore[import-untyped]

from scraper.gallery_listing import OWN_ADDRESSES, GalleryListing, lists_in, posts_in
from service.fetching import Listed
from service.media_url import MediaUrl
from service.watched import Found

USER = "https://site.example/users/5"
DIRECTORY, URL, QUEUE = 2, 3, 6


def post(number: int, *files: str, **more: Any) -> list[list[Any]]:
    about = {"category": "site", "id": number, **more}
    return [[DIRECTORY, about], *([URL, file, {**about, "num": at}] for at, file in enumerate(files, 1))]


def one(number: int, **more: Any) -> list[list[Any]]:
    return post(number, f"https://cdn.example/{number}.jpg", **more)


def the_post(messages: list[list[Any]]) -> Found:
    (found,) = posts_in(messages, USER)
    return found


# --- one post -----------------------------------------------------------------------------------------------------------


def test_the_files_of_a_post_are_one_item() -> None:
    messages = [*post(7, "https://cdn.example/7a.jpg", "https://cdn.example/7b.jpg"), *one(6)]
    assert [(item.extractor, item.id) for item in posts_in(messages, USER)] == [("gallery-dl:site", "7"), ("gallery-dl:site", "6")]


def test_a_post_without_files_is_no_item() -> None:
    assert [item.id for item in posts_in([*post(7), *one(6), *post(5)], USER)] == ["6"]


def test_a_post_has_the_address_that_it_says_it_has() -> None:
    assert the_post(one(7, post_url="https://site.example/p/7")).url.text == "https://site.example/p/7"


def test_a_post_that_says_no_address_has_that_of_its_first_file() -> None:
    assert the_post(one(7)).url.text == "https://cdn.example/7.jpg"


@pytest.mark.parametrize("said", ["/p/7", "javascript:alert(1)", "file:///etc/passwd", "text:secret", "", None])
def test_an_address_that_is_none_of_the_web_is_not_taken(said: Any) -> None:
    assert the_post(one(7, post_url=said)).url.text == "https://cdn.example/7.jpg"


@pytest.mark.parametrize("number", [None, "", "x" * 201, "a b", "a\0b"])
def test_a_post_without_an_id_is_named_by_its_address(number: Any) -> None:
    found = the_post(one(7, id=number, post_url="https://site.example/p/7"))
    assert found.id == MediaUrl.parse("https://site.example/p/7").digest


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("some day", None),
        (None, None),
    ],
)
def test_when_a_post_was_published(said: str | None, at: datetime | None) -> None:
    assert the_post(one(7, date=said)).at == at


def test_what_is_only_referred_to_is_a_post_of_its_own() -> None:
    messages = [[QUEUE, f"https://site.example/p/{number}", {"category": "site"}] for number in (8, 7)]
    assert [item.url.text for item in posts_in(messages, USER)] == ["https://site.example/p/8", "https://site.example/p/7"]


def test_what_a_post_refers_to_is_not_a_post_of_this_user() -> None:
    messages = [*one(7), [QUEUE, "https://elsewhere.example/p/1", {"category": "site"}], *one(6)]
    assert [item.id for item in posts_in(messages, USER)] == ["7", "6"]


ABOUT: dict[str, dict[str, Any]] = {
    "pixiv": {"id": 100},
    "twitter": {"tweet_id": 100},
    "danbooru": {"id": 100},
    "deviantart": {"url": "https://www.deviantart.com/painter/art/Picture-100"},
}


@pytest.mark.parametrize("category", OWN_ADDRESSES)
def test_an_address_made_up_for_a_post_is_one_that_gallery_dl_takes(category: str) -> None:
    found = the_post(one(100, category=category, **ABOUT[category]))
    assert gallery_extractors.find(found.url.text).category == category


# --- the parts of a user ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("https://www.pixiv.net/en/users/5", ["https://www.pixiv.net/users/5/artworks"]),
        ("https://twitter.com/painter", ["https://x.com/painter/timeline", "https://x.com/painter/media"]),
        ("https://painter.site.example/", ["https://painter.site.example/art"]),
    ],
)
def test_a_users_address_leads_to_parts_of_it(address: str, parts: list[str]) -> None:
    assert lists_in([[QUEUE, part, {}] for part in parts], address) == parts


@pytest.mark.parametrize(
    ("address", "posts"),
    [
        ("https://site.example/users/5", ["https://site.example/p/1"]),
        ("https://site.example/users/5", ["https://site.example/users/5/101"]),
        ("https://site.example/users/5", ["https://site.example/users/5/artworks", "https://site.example/p/1"]),
        ("https://site.example/users/5", []),
    ],
)
def test_posts_are_no_parts(address: str, posts: list[str]) -> None:
    assert lists_in([[QUEUE, one, {}] for one in posts], address) == []


# --- many -----------------------------------------------------------------------------------------------------------------


class Reader:
    """Wants so many pages."""

    def __init__(self, wants: int = 1000) -> None:
        self.wants = wants
        self.ids: list[str] = []
        self.told = 0

    async def found(self, items: Sequence[Found]) -> bool:
        self.told += 1
        self.ids += [item.id for item in items]
        return self.told < self.wants


class Site:
    """Answers as gallery-dl does, and notes what it was asked for."""

    def __init__(self, posts: dict[str, list[list[list[Any]]]]) -> None:
        self.posts = posts
        self.asked: list[tuple[str, int, int]] = []

    async def posts_at(self, address: str, posts: range) -> list[Any]:
        self.asked.append((address, posts.start, posts.stop - 1))
        return [message for found in self.posts[address][posts.start - 1 : posts.stop - 1] for message in found]


async def listing(site: Site, reader: Reader, address: str = USER) -> Listed:
    return await GalleryListing(MediaUrl.parse(address), reader, site.posts_at).run()


def many(count: int, **more: Any) -> list[list[list[Any]]]:
    return [one(number, **more) for number in range(count, 0, -1)]


async def test_gallery_dl_is_asked_for_more_only_when_more_is_wanted() -> None:
    site = Site({USER: many(100)})
    await listing(site, Reader(2))
    assert site.asked == [(USER, 1, 29), (USER, 30, 59)]


async def test_all_come_once_and_are_counted_when_all_are_wanted() -> None:
    site, reader = Site({USER: many(100)}), Reader()
    assert (await listing(site, reader)).count == 100
    assert reader.ids == [str(number) for number in range(100, 0, -1)]


async def test_what_was_not_read_to_its_end_is_not_counted() -> None:
    assert (await listing(Site({USER: many(100)}), Reader(1))).count is None


async def test_posts_that_cannot_be_had_do_not_end_a_list() -> None:
    site, reader = Site({USER: [*[post(1000 + at) for at in range(29)], *many(3)]}), Reader()
    await listing(site, reader)
    assert reader.ids == ["3", "2", "1"]


async def test_a_list_of_nothing_but_such_posts_is_not_read_to_its_end() -> None:
    site = Site({USER: [post(at) for at in range(5000)]})
    await listing(site, Reader())
    assert len(site.asked) == 10


async def test_a_user_is_called_as_the_posts_say() -> None:
    assert (await listing(Site({USER: many(1, user={"name": "Painter"})}), Reader())).title == "Painter"


async def test_a_user_of_whom_nothing_is_said_is_called_by_the_address() -> None:
    assert (await listing(Site({USER: []}), Reader())).title == "5"


async def test_enough_of_one_part_of_a_user_is_not_enough_of_the_next() -> None:
    parts = [f"{USER}/{part}" for part in ("artworks", "sketches")]
    site = Site({USER: [[[QUEUE, part, {}]] for part in parts], parts[0]: many(40), parts[1]: many(40, category="other")})
    reader = Reader(0)
    await listing(site, reader)
    assert [address for address, *_ in site.asked] == [USER, *parts]
    assert reader.told == 2


async def test_parts_that_lead_to_parts_without_end_are_not_all_looked_at() -> None:
    class Maze(Site):
        async def posts_at(self, address: str, posts: range) -> list[Any]:
            self.asked.append((address, posts.start, posts.stop - 1))
            return [[QUEUE, f"{address}/again", {}]]

    maze = Maze({})
    await listing(maze, Reader())
    assert len(maze.asked) == 10
