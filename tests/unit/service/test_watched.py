"""Filters of links, and archives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.archives import Had, read_archive, written_archive
from service.errors import InvalidArchive, InvalidLink
from service.media_url import MediaUrl
from service.watched import Found, ItemKind, LinkFilters

URL = MediaUrl.parse("https://example.com/1")


def an_item(**about: Any) -> Found:
    return Found(**{"extractor": "Youtube", "id": "1", "url": URL, "title": "Two Cats dance", **about})


@pytest.mark.parametrize(
    ("filters", "item", "taken"),
    [
        (LinkFilters(), an_item(), True),
        (LinkFilters(title="cats"), an_item(), True),
        (LinkFilters(title="DANCE cats"), an_item(), True),
        (LinkFilters(title="cats dogs"), an_item(), False),
        (LinkFilters(title="-cats"), an_item(), False),
        (LinkFilters(title="-dogs"), an_item(), True),
        (LinkFilters(title="STRASSE"), an_item(title="Die Straße"), True),
        (LinkFilters(min_duration=60), an_item(duration=timedelta(seconds=59)), False),
        (LinkFilters(min_duration=60), an_item(duration=timedelta(seconds=60)), True),
        (LinkFilters(max_duration=60), an_item(duration=timedelta(seconds=61)), False),
        (LinkFilters(min_duration=60), an_item(duration=None), True),
        (LinkFilters(since=date(2026, 1, 2)), an_item(at=datetime(2026, 1, 1, 23, 59, tzinfo=UTC)), False),
        (LinkFilters(since=date(2026, 1, 2)), an_item(at=datetime(2026, 1, 2, tzinfo=UTC)), True),
        (LinkFilters(since=date(2026, 1, 2)), an_item(at=None), True),
        (LinkFilters(title="cats"), an_item(title=None), True),
        (LinkFilters(kinds=(ItemKind.SHORT,)), an_item(), False),
        (LinkFilters(kinds=(ItemKind.SHORT, ItemKind.VIDEO)), an_item(), True),
    ],
)
def test_a_filter_takes_what_fits_and_what_it_cannot_judge(filters: LinkFilters, item: Found, taken: bool) -> None:  # noqa: FBT001 - a case
    assert filters.takes(item) is taken


@pytest.mark.parametrize(
    "wrong", [{"min_duration": 9, "max_duration": 8}, {"min_duration": -1}, {"newest": 0}, {"newest": 201}, {"title": "x" * 201}]
)
def test_filters_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidLink):
        LinkFilters(**wrong)


@given(
    st.builds(
        LinkFilters,
        title=st.none() | st.text(max_size=20),
        min_duration=st.none() | st.integers(0, 10),
        max_duration=st.none() | st.integers(11, 20),
        since=st.none() | st.dates(),
        kinds=st.lists(st.sampled_from(ItemKind), unique=True).map(tuple),
        newest=st.none() | st.integers(1, 200),
    )
)
def test_filters_come_back_from_json_as_they_were(filters: LinkFilters) -> None:
    assert LinkFilters.from_json(filters.as_json()) == filters


def test_an_archive_of_yt_dlp_is_read_in_its_order() -> None:
    assert read_archive("youtube dQw4w9WgXcQ\n\nVimeo 12 34\n") == [
        Had(extractor="youtube", item_id="dQw4w9WgXcQ"),
        Had(extractor="vimeo", item_id="12 34"),
    ]


def test_entries_of_gallery_dl_name_their_posts() -> None:
    lines = ["pixiv12345678_p0.jpg", "pixiv12345678_p1.jpg", "danbooru99", "twitter17_0_1"]
    posts = [("pixiv", "12345678"), ("pixiv", "12345678"), ("danbooru", "99"), ("twitter", "17")]
    named = [Had(extractor=f"gallery-dl:{site}", item_id=post, entry=line) for line, (site, post) in zip(lines, posts, strict=True)]
    assert read_archive("\n".join(lines)) == named


@pytest.mark.parametrize(
    ("text", "line"), [("youtube\n", 1), ("youtube a\nnonsense\n", 2), ("x" * 101 + " a", 1), ("a " + "x" * 401, 1), ("a b\0c", 1)]
)
def test_a_line_that_is_none_of_an_archive_is_named(text: str, line: int) -> None:
    with pytest.raises(InvalidArchive, match=f"^Line {line} "):
        read_archive(text)


def test_an_item_has_the_name_that_yt_dlps_archives_give_it() -> None:
    assert written_archive([an_item(id="dQw4w9WgXcQ").key]) == "youtube dQw4w9WgXcQ\n"
