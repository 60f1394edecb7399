"""The items of lists: read one by one, flat, each with an address that can be fetched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from yt_dlp.utils import ExtractorError, OnDemandPagedList, smuggle_url

from scraper.lists import Flattened, entries_of, item_of

PAGE = "https://site.example/list"
LOW = {"url": "https://cdn.example/low.mp4", "height": 240}
HIGH = {"url": "https://cdn.example/high.mp4", "height": 720}


def refused(entry: Mapping[str, Any]) -> None:
    raise AssertionError(entry)


def titles(entries: Iterator[Mapping[str, Any]]) -> list[Any]:
    return [entry["title"] for entry in entries]


def test_a_site_is_asked_for_a_further_page_only_when_it_is_reached() -> None:
    pages = []

    def page(number: int) -> list[dict[str, Any]]:
        pages.append(number)
        return [{"title": number * 10 + at} for at in range(10)] if number < 5 else []

    entries = entries_of({"entries": OnDemandPagedList(page, 10)})
    assert titles(itertools.islice(entries, 2)) == [0, 1]
    assert pages == [0]
    assert titles(entries) == list(range(2, 50))


def test_a_generator_is_read_no_further_than_asked_for() -> None:
    entries = ({"title": at} for at in itertools.count())
    assert titles(itertools.islice(entries_of({"entries": entries}), 3)) == [0, 1, 2]
    assert next(entries)["title"] == 3


def test_lists_within_a_list_are_laid_flat() -> None:
    inner = {"_type": "playlist", "entries": [{"title": 2}, {"_type": "playlist", "entries": [{"title": 3}]}]}
    assert titles(Flattened(refused).media(iter([{"title": 1}, inner, {"title": 4}]))) == [1, 2, 3, 4]


def test_a_tab_of_a_channel_is_looked_into_and_a_video_is_not() -> None:
    tab = {"_type": "url", "ie_key": "YoutubeTab", "url": "https://www.youtube.com/@x/videos"}
    video = {"_type": "url", "ie_key": "Youtube", "title": 1}
    found = Flattened(lambda entry: {"_type": "playlist", "entries": [{"title": entry["url"][-6:]}]}).media(iter([tab, video]))
    assert titles(found) == ["videos", 1]


def test_an_empty_tab_costs_only_itself() -> None:
    def open_list(entry: Mapping[str, Any]) -> None:
        raise ExtractorError(f"This channel does not have a {entry['url']} tab", expected=True)

    tab = {"_type": "url", "ie_key": "YoutubeTab", "url": "x"}
    assert titles(Flattened(open_list).media(iter([tab, {"title": 1}]))) == [1]


def test_lists_without_end_are_given_up() -> None:
    tab = {"_type": "url", "ie_key": "YoutubeTab", "url": "x"}
    opened = []

    def open_list(entry: Mapping[str, Any]) -> Mapping[str, Any]:
        opened.append(entry)
        return {"_type": "playlist", "entries": [tab, tab]}

    assert titles(Flattened(open_list).media(iter([tab]))) == []
    assert len(opened) == 10


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ({"_type": "url", "url": "https://site.example/1"}, "https://site.example/1"),
        ({"_type": "url", "url": smuggle_url("https://site.example/1", {"referer": PAGE})}, "https://site.example/1"),
        ({"_type": "url", "url": "abcdefghijk", "ie_key": "Youtube", "id": "abcdefghijk"}, "https://www.youtube.com/watch?v=abcdefghijk"),
        ({"webpage_url": "https://site.example/2", "url": "https://cdn.example/2.mp4"}, "https://site.example/2"),
        ({"webpage_url": PAGE, "url": "https://cdn.example/2.mp4"}, "https://cdn.example/2.mp4"),
        ({"webpage_url": PAGE, "formats": [LOW, HIGH]}, "https://cdn.example/high.mp4"),
        ({"formats": [{**HIGH, "acodec": "none"}, LOW]}, "https://cdn.example/low.mp4"),
    ],
)  # fmt: skip
def test_an_item_has_an_address_of_its_own(entry: dict[str, Any], address: str) -> None:
    item = item_of(entry, PAGE)
    assert item is not None
    assert item["url"] == address


@pytest.mark.parametrize("entry", [{}, {"webpage_url": PAGE}, {"_type": "url", "url": "file:///etc/passwd"}, {"url": "ytsearch:x"}])
def test_what_has_none_is_no_item(entry: dict[str, Any]) -> None:
    assert item_of(entry, PAGE) is None


def test_an_item_tells_its_title_and_length_where_they_are_known() -> None:
    known = item_of({"url": "https://x.example/1", "title": "A\0b", "duration": 5.5}, PAGE)
    unknown = item_of({"url": "https://x.example/1", "duration": -1}, PAGE)
    assert known == {"url": "https://x.example/1", "title": "A b", "duration": 5.5}
    assert unknown == {"url": "https://x.example/1", "title": None, "duration": None}


def test_a_list_is_read_by_the_sites_own_pages() -> None:
    pages = []

    def page(number: int) -> list[dict[str, Any]]:
        pages.append(number)
        return [{"title": number * 10 + at} for at in range(10)]

    assert len(titles(itertools.islice(entries_of({"entries": OnDemandPagedList(page, 10)}), 30))) == 30
    assert pages == [0, 1, 2]
