"""What is told of an entry of a list, and what the words mean in which sites refuse lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yt_dlp.extractor import gen_extractor_classes
from yt_dlp.utils import DownloadError, ExtractorError, UserNotLive

from scraper.downloader import Downloader
from scraper.egress import EgressPolicy
from scraper.failures import JobFailed
from scraper.guard import Guard
from scraper.listing import Listing, Names, is_nothing_on_it, item_in
from scraper.wire import ListSpec
from scraper.workshop import Workshop
from service.media_url import MediaUrl
from service.watched import ItemKind

PAGE = "https://www.youtube.com/@painter"
ALL = {found.ie_key(): found for found in gen_extractor_classes()}
TAB = {"_type": "playlist", "webpage_url": f"{PAGE}/videos"}


def video(**more: Any) -> dict[str, Any]:
    return {"_type": "url", "ie_key": "Youtube", "id": "abcdefghijk", "url": "https://www.youtube.com/watch?v=abcdefghijk", **more}


def told(entry: dict[str, Any], tab: dict[str, Any] = TAB) -> dict[str, Any]:
    item = item_in(entry, tab, PAGE, Names(ALL))
    assert item is not None
    return item


def name(entry: dict[str, Any]) -> tuple[str, str]:
    item = told(entry)
    return item["extractor"], item["id"]


# --- names ------------------------------------------------------------------------------------------------------------


def test_an_item_is_named_by_its_extractor_and_the_id_it_has_there() -> None:
    assert name(video()) == ("Youtube", "abcdefghijk")


def test_an_item_without_either_is_named_by_who_knows_its_address() -> None:
    assert name({"_type": "url", "url": "https://vimeo.com/76979871"}) == ("Vimeo", "76979871")


def test_what_no_site_knows_is_named_by_its_address() -> None:
    address = "https://files.example/a/1.mp4"
    assert name({"_type": "url", "id": "1", "url": address}) == ("Generic", MediaUrl.parse(address).digest)


def test_what_stands_on_a_page_is_not_named_as_the_page_is() -> None:
    address = "https://cdn.example/1.mp4"
    entry = {"id": "page-1", "extractor_key": "HTML5MediaEmbed", "webpage_url": PAGE, "formats": [{"url": address}]}
    assert name(entry) == ("Generic", MediaUrl.parse(address).digest)


@pytest.mark.parametrize("number", ["x" * 201, "a\0b", "a\nb", "\ud800"])
def test_an_id_that_is_no_key_is_replaced_by_the_address(number: str) -> None:
    entry = video(id=number)
    assert name(entry) == ("Youtube", MediaUrl.parse(entry["url"]).digest)


def test_two_spellings_of_an_address_are_one_item() -> None:
    one, other = ({"_type": "url", "url": f"https://files.example/1.mp4{end}"} for end in ("", "?utm_source=feed"))
    assert name(one) == name(other)


def test_extractors_are_not_asked_again_about_neighbours_of_what_none_knows() -> None:
    asked = []

    class Nobody:
        @staticmethod
        def suitable(address: str) -> bool:
            asked.append(address)
            return False

    names = Names({"Nobody": Nobody})  # as much of an extractor as is asked
    for number in range(3):
        names.of({"_type": "url"}, f"https://files.example/a/{number}.mp4")
    names.of({"_type": "url"}, "https://files.example/b/0.mp4")
    assert asked == ["https://files.example/a/0.mp4", "https://files.example/b/0.mp4"]


# --- kinds, times, lengths ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (video(), ItemKind.VIDEO),
        (video(live_status="not_live"), ItemKind.VIDEO),
        (video(url="https://www.youtube.com/shorts/abcdefghijk"), ItemKind.SHORT),
        (video(live_status="was_live"), ItemKind.LIVE),
        (video(live_status="post_live"), ItemKind.LIVE),
    ],
)
def test_of_which_kind_an_item_is(entry: dict[str, Any], kind: ItemKind) -> None:
    assert told(entry)["kind"] == kind


@pytest.mark.parametrize(("tab", "kind"), [("shorts", ItemKind.SHORT), ("streams", ItemKind.LIVE), ("videos", ItemKind.VIDEO)])
def test_what_is_on_a_tab_is_of_its_kind(tab: str, kind: ItemKind) -> None:
    assert told(video(), {"webpage_url": f"{PAGE}/{tab}"})["kind"] == kind


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"timestamp": 1767225600}, 1767225600.0),
        ({"release_timestamp": 1767225600}, 1767225600.0),
        ({"upload_date": "20260101"}, 1767225600.0),
        ({"timestamp": None, "upload_date": "20260101"}, 1767225600.0),
        ({}, None),
        ({"timestamp": float("inf")}, None),
        ({"timestamp": 10**15}, None),
        ({"timestamp": -1}, None),
        ({"upload_date": "20261301"}, None),
        ({"upload_date": "yesterday"}, None),
    ],
)
def test_when_an_item_was_published(said: dict[str, Any], at: float | None) -> None:
    assert told(video(**said))["at"] == at


@pytest.mark.parametrize(("said", "duration"), [(206, 206), (0, None), (None, None), ("3:26", None)])
def test_how_long_an_item_is(said: Any, duration: int | None) -> None:
    assert told(video(duration=said))["duration"] == duration


@pytest.mark.parametrize(
    "entry",
    [
        video(live_status="is_upcoming"),
        video(live_status="is_live"),
        video(availability="subscriber_only"),
        video(availability="private"),
        video(title="[Private video]"),
        video(title="[Deleted video]"),
        {"_type": "url", "url": PAGE},
    ],
)
def test_what_cannot_be_had_is_no_item(entry: dict[str, Any]) -> None:
    assert item_in(entry, TAB, PAGE, Names(ALL)) is None


# --- words ------------------------------------------------------------------------------------------------------------


def wrapped(failure: Exception) -> DownloadError:
    """As yt-dlp raises it."""
    return DownloadError(f"ERROR: [youtube:tab] painter: {failure}", (type(failure), failure, None))


@pytest.mark.parametrize("words", ["This channel does not have a videos tab", "This channel does not have a streams tab"])
def test_a_channel_without_such_a_tab_has_nothing_on_it(words: str) -> None:
    assert is_nothing_on_it(wrapped(ExtractorError(words, expected=True)))


def test_a_channel_that_is_not_live_has_nothing_on_it() -> None:
    assert is_nothing_on_it(wrapped(UserNotLive(video_id="painter")))


@pytest.mark.parametrize("words", ["This channel does not exist.", "HTTP Error 404: Not Found", "Unable to recognize tab page"])
def test_a_channel_that_is_not_there_is_not_an_empty_one(words: str) -> None:
    assert not is_nothing_on_it(wrapped(ExtractorError(words, expected=True)))


@pytest.fixture
def code_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Exception], str]:
    """The code that a listing fails with when yt-dlp raises this."""

    def code(failure: Exception) -> str:
        def extract(*_: Any, **__: Any) -> None:
            raise failure

        monkeypatch.setattr(Downloader, "extract_info", extract)
        guard = Guard(EgressPolicy(), None, None)
        shop = Workshop(extractors={}, guard=guard, ffmpeg="ffmpeg", deno=None, state_directory=tmp_path)
        with pytest.raises(JobFailed) as failed:
            Listing(ListSpec(url=PAGE, directory=str(tmp_path), with_dates=False), shop, None).run()  # type: ignore[arg-type] # is told nothing
        return failed.value.code

    return code


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("YouTube said: This channel does not exist.", "no_such_video"),
        ("YouTube said: The playlist does not exist.", "no_such_video"),
        ("YouTube said: This channel is not available.", "no_such_video"),
        ("YouTube said: This channel was removed because it violated our Community Guidelines.", "no_such_video"),
        ("YouTube said: This account has been terminated for a violation.", "no_such_video"),
        ("YouTube said: This playlist is private.", "private"),
        ("This playlist type is unviewable.", "private"),
        ("Sign in to confirm you\u2019re not a bot", "sign_in_needed"),
        ("HTTP Error 429: Too Many Requests", "throttled"),
        ("Unable to recognize tab page", "download_failed"),
    ],
)
def test_what_a_sites_words_about_a_list_mean(code_for: Callable[[Exception], str], words: str, expected: str) -> None:
    assert code_for(wrapped(ExtractorError(words, expected=True))) == expected


# --- reading ----------------------------------------------------------------------------------------------------------


class Asked:
    """Says go so many times, and stop then."""

    def __init__(self, times: int = 1000) -> None:
        self.times = times
        self.pages: list[list[str]] = []

    def items(self, items: list[dict[str, Any]]) -> bool:
        self.pages.append([item["id"] for item in items])
        return len(self.pages) < self.times


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, Any], Asked], dict[str, Any]]:
    """List what yt-dlp is said to find."""

    def run(found: dict[str, Any], asked: Asked) -> dict[str, Any]:
        monkeypatch.setattr(Downloader, "extract_info", lambda *_, **__: found)
        guard = Guard(EgressPolicy(), None, None)
        shop = Workshop(extractors=ALL, guard=guard, ffmpeg="ffmpeg", deno=None, state_directory=tmp_path)
        return Listing(ListSpec(url=PAGE, directory=str(tmp_path), with_dates=False), shop, asked).run()

    return run


Read = Callable[[dict[str, Any], Asked], dict[str, Any]]


def videos(count: int, mark: str = "v") -> list[dict[str, Any]]:
    return [video(id=f"{mark}{at:010d}", url=f"https://www.youtube.com/watch?v={mark}{at:010d}") for at in range(count)]


def test_nothing_is_read_beyond_the_page_that_was_enough(read: Read) -> None:
    entries = iter(videos(100))
    read({"_type": "playlist", "id": "1", "entries": entries}, Asked(1))
    assert next(entries)["id"] == "v0000000030"


def test_enough_of_one_tab_is_not_enough_of_the_next(read: Read) -> None:
    asked = Asked(0)
    tabs = [{"_type": "playlist", "entries": iter(videos(100, mark))} for mark in "abc"]
    read({"_type": "playlist", "id": "1", "entries": tabs}, asked)
    assert [page[0][0] for page in asked.pages] == ["a", "b", "c"]


def test_an_item_on_two_tabs_is_told_once(read: Read) -> None:
    asked = Asked()
    tabs = [{"_type": "playlist", "entries": videos(2)}, {"_type": "playlist", "entries": videos(3)}]
    read({"_type": "playlist", "id": "1", "entries": tabs}, asked)
    assert asked.pages == [["v0000000000", "v0000000001"], ["v0000000002"]]


@pytest.mark.parametrize(
    ("entries", "said", "times", "count"),
    [
        (iter(videos(100)), None, 1, None),
        (iter(videos(100)), None, 9, 100),
        (iter(videos(100)), 5000, 1, 5000),
        (videos(100), None, 1, 100),
        ([], None, 1, 0),
    ],
)
def test_how_many_there_are(read: Read, entries: Any, said: int | None, times: int, count: int | None) -> None:
    assert read({"_type": "playlist", "id": "1", "entries": entries, "playlist_count": said}, Asked(times))["count"] == count


def test_what_is_in_lists_that_were_not_looked_into_is_not_counted(read: Read) -> None:
    tabs = [{"_type": "playlist", "entries": videos(2, mark)} for mark in "abcdefghijk"]
    assert read({"_type": "playlist", "id": "1", "entries": tabs}, Asked())["count"] is None
