"""What is behind a watched address: real workers and real gallery-dl, and the site is asked no further than is wanted."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import pytest_asyncio

from sandbox.channels import Channel
from sandbox.media_site import MediaSite
from scraper import fetcher
from scraper.egress import EgressPolicy
from service.errors import FetchFailed
from service.fetching import FetchRequest, Listed, ListingRequest
from service.media_url import MediaUrl
from service.selection import Selection
from service.watched import Found, ItemKind
from tests.integration.scraper.conftest import PUBLIC_VIDEO, YOUTUBE, Bench, Watcher, bench_on, until
from tests.integration.scraper.test_guard import Trap, trap
from tests.integration.scraper.test_pictures import galleries_running

pytestmark = pytest.mark.asyncio(loop_scope="session")

__all__ = ["trap"]


@dataclass
class Reader:
    """Wants so many pages, and remembers what it was told."""

    wants: int = 1000
    pages: list[list[Found]] = field(default_factory=list)

    async def found(self, items: Sequence[Found]) -> bool:
        self.pages.append(list(items))
        return len(self.pages) < self.wants

    @property
    def items(self) -> list[Found]:
        return [item for page in self.pages for item in page]

    @property
    def ids(self) -> list[str]:
        return [item.id for item in self.items]


async def listed(bench: Bench, path: str, reader: Reader | None = None, **more: Any) -> Listed:
    request = ListingRequest(url=MediaUrl.parse(bench.address(path)), **more)
    return await bench.fetcher.listing(request, reader or Reader())


async def failure_of(bench: Bench, path: str, reader: Reader | None = None, **more: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as failure:
        await listed(bench, path, reader, **more)
    return failure.value


@pytest.fixture
def channel(bench: Bench, request: pytest.FixtureRequest) -> Channel:
    """One of this test's own, with a hundred videos; the log is empty."""
    bench.site.reset()
    return bench.site.channels[f"grow-{crc32(request.node.name.encode()):x}-100"]


def youtube(channel: Channel, tab: str = "") -> str:
    return f"https://www.youtube.com/@{channel.name}{tab}"


def asked(bench: Bench, channel: Channel) -> list[str]:
    """The pages of this channel that the site was asked for."""
    before = f"/channel/{channel.name}/"
    return [f"{one.path.removeprefix(before)}?{one.query}".rstrip("?") for one in bench.site.log if one.path.startswith(before)]


def newest(channel: Channel, count: int | None = None) -> list[str]:
    return [item.id for item in channel.newest_first()[:count]]


# --- channels and playlists -------------------------------------------------------------------------------------------


async def test_a_look_that_finds_nothing_new_asks_for_one_page_of_thirty(bench: Bench, channel: Channel) -> None:
    reader = Reader(wants=1)
    await listed(bench, youtube(channel), reader)
    assert (reader.ids, asked(bench, channel)) == (newest(channel, 30), ["videos.json"])


async def test_that_look_asks_the_site_for_nothing_else(bench: Bench, channel: Channel) -> None:
    await listed(bench, youtube(channel), Reader(wants=1))
    assert [one.path for one in bench.site.log] == [f"/channel/{channel.name}/videos.json"]


async def test_another_page_is_fetched_only_when_it_is_wanted(bench: Bench, channel: Channel) -> None:
    seen: list[list[str]] = []

    class Slow(Reader):
        async def found(self, items: Sequence[Found]) -> bool:
            await asyncio.sleep(0.2)  # in which a worker that does not wait would have asked for more
            seen.append(asked(bench, channel))
            return await super().found(items)

    reader = Slow(wants=2)
    await listed(bench, youtube(channel), reader)
    assert seen == [["videos.json"], ["videos.json", "videos.json?page=2"]]
    assert reader.ids == newest(channel, 60)


async def test_a_list_that_is_wanted_whole_comes_whole_and_in_order(bench: Bench, channel: Channel) -> None:
    reader = Reader()
    told = await listed(bench, youtube(channel), reader)
    assert (reader.ids, [len(page) for page in reader.pages]) == (newest(channel), [30, 30, 30, 10])
    assert told.count == 100


async def test_how_many_there_are_is_not_told_by_who_did_not_count(bench: Bench, channel: Channel) -> None:
    assert (await listed(bench, youtube(channel), Reader(wants=1))).count is None


async def test_a_playlist_tells_how_many_there_are_without_being_read(bench: Bench) -> None:
    assert (await listed(bench, "https://www.youtube.com/playlist?list=PL1000", Reader(wants=1))).count == 1000


async def test_what_is_new_stands_at_the_beginning(bench: Bench, channel: Channel) -> None:
    before = newest(channel, 29)
    channel.add()
    reader = Reader(wants=1)
    await listed(bench, youtube(channel), reader)
    assert (reader.ids[0], reader.ids[1:]) == (newest(channel)[0], before)


async def test_an_item_is_told_with_address_title_and_length(bench: Bench, channel: Channel) -> None:
    channel.add(title="The newest one", duration=206)
    reader = Reader(wants=1)
    told = await listed(bench, youtube(channel), reader)
    (item,) = reader.items[:1]
    assert (item.url.text, item.title) == (f"{YOUTUBE}{newest(channel)[0]}", "The newest one")
    assert item.kind is ItemKind.VIDEO
    assert item.duration is not None
    assert item.duration.total_seconds() == 206
    assert (told.title, told.is_medium) == (f"Channel {channel.name} - Videos", False)


async def test_an_item_has_the_name_that_its_extraction_gives_it(bench: Bench, channel: Channel) -> None:
    reader, watcher = Reader(wants=1), Watcher(go=False)
    await listed(bench, youtube(channel), reader)
    await bench.fetcher.fetch(bench.request(reader.items[0].url.text, Selection.of()), watcher)
    (found,) = watcher.found
    assert (reader.items[0].extractor, reader.items[0].id) == (found.extractor, found.id)


async def test_each_item_of_a_page_has_the_name_that_its_extraction_gives_it(bench: Bench, channel: Channel) -> None:
    reader, watcher = Reader(), Watcher(go=False)
    await listed(bench, f"/channel/{channel.name}", reader)
    await bench.fetcher.fetch(bench.request(reader.items[3].url.text, Selection.of()), watcher)
    (found,) = watcher.found
    assert (reader.items[3].extractor, reader.items[3].id) == (found.extractor, found.id)


async def test_when_items_were_published_is_told_to_who_asks(bench: Bench, channel: Channel) -> None:
    without, with_dates = Reader(wants=1), Reader(wants=1)
    await listed(bench, youtube(channel), without)
    await listed(bench, youtube(channel), with_dates, with_dates=True)
    assert {item.at for item in without.items} == {None}
    assert [item.at for item in with_dates.items] == [item.at for item in channel.newest_first()[:30]]


async def test_shorts_and_streams_are_told_as_what_they_are(bench: Bench, channel: Channel) -> None:
    channel.add(tab="shorts")
    channel.add(tab="streams", live_status="was_live")
    reader = Reader()
    await listed(bench, youtube(channel), reader)
    kinds = {item.id: item.kind for item in reader.items}
    stream, short, video = newest(channel, 3)
    assert (kinds[short], kinds[stream], kinds[video]) == (ItemKind.SHORT, ItemKind.LIVE, ItemKind.VIDEO)


async def test_who_has_enough_of_one_tab_is_told_of_the_next(bench: Bench, channel: Channel) -> None:
    channel.add(tab="shorts", count=40)
    channel.add(tab="streams", count=40)
    reader = Reader(wants=0)
    await listed(bench, youtube(channel), reader)
    assert [len(page) for page in reader.pages] == [30, 30, 30]
    assert sorted(asked(bench, channel)) == ["shorts.json", "streams.json", "videos.json"]


async def test_a_new_item_in_the_last_tab_is_not_missed(bench: Bench, channel: Channel) -> None:
    channel.add(tab="shorts", title="A new short")
    reader = Reader(wants=0)
    await listed(bench, youtube(channel), reader)
    assert reader.items[-1].title == "A new short"


async def test_what_is_announced_is_no_item_until_it_is_there(bench: Bench, channel: Channel) -> None:
    channel.add(live_status="is_upcoming")
    reader = Reader(wants=1)
    await listed(bench, youtube(channel), reader)
    assert newest(channel)[0] not in reader.ids


@pytest.mark.parametrize("availability", ["private", "subscriber_only", "premium_only", "needs_auth"])
async def test_what_not_everybody_may_see_is_no_item(bench: Bench, channel: Channel, availability: str) -> None:
    channel.add(availability=availability)
    reader = Reader(wants=1)
    await listed(bench, youtube(channel), reader)
    assert newest(channel)[0] not in reader.ids


async def test_a_page_of_what_nobody_may_see_does_not_end_the_look(bench: Bench, channel: Channel) -> None:
    channel.add(count=40, availability="subscriber_only")
    reader = Reader(wants=1)
    await listed(bench, youtube(channel), reader)
    assert reader.ids == newest(channel)[40:60]


async def test_a_channel_for_members_is_not_read_to_its_end(bench: Bench, channel: Channel) -> None:
    channel.add(count=900, availability="subscriber_only")
    reader = Reader()
    await listed(bench, youtube(channel), reader)
    assert (reader.items, len(asked(bench, channel))) == ([], 10)


# --- pages and media --------------------------------------------------------------------------------------------------


async def test_a_page_of_videos_is_a_list(bench: Bench, channel: Channel) -> None:
    reader = Reader()
    told = await listed(bench, f"/channel/{channel.name}", reader)
    assert [item.url.text for item in reader.items] == [f"{bench.site.base}/n/{number}.mp4" for number in newest(channel, 30)]
    assert (told.title, told.is_medium) == (f"Channel {channel.name}", False)


async def test_a_feed_is_a_list_with_dates(bench: Bench, channel: Channel) -> None:
    reader = Reader(wants=1)
    told = await listed(bench, f"/channel/{channel.name}.rss", reader)
    assert [item.at for item in reader.items] == [item.at for item in channel.newest_first()[:30]]
    assert [item.title for item in reader.items] == [item.title for item in channel.newest_first()[:30]]
    assert told.title == f"Channel {channel.name}"


async def test_an_item_keeps_its_name_when_others_come_before_it(bench: Bench, channel: Channel) -> None:
    before, after = Reader(), Reader()
    await listed(bench, f"/channel/{channel.name}", before)
    channel.add(count=2)
    await listed(bench, f"/channel/{channel.name}", after)
    assert after.ids[2:] == before.ids[:28]


async def test_one_video_is_itself_and_nothing_of_it_is_fetched(bench: Bench) -> None:
    bench.site.reset()
    reader = Reader()
    told = await listed(bench, PUBLIC_VIDEO, reader)
    (item,) = reader.items
    assert (item.extractor, item.id, item.url.text) == ("Youtube", "abcdefghijk", PUBLIC_VIDEO)
    assert (told.title, told.count, told.is_medium) == ("Test video abcdefghijk", 1, True)
    assert item.at == datetime(2026, 1, 2, tzinfo=UTC)
    assert list(bench.site.log) == []


async def test_one_file_is_itself(bench: Bench) -> None:
    reader = Reader()
    told = await listed(bench, "/media/clip.mp4", reader)
    (item,) = reader.items
    assert (item.id, item.url.text, told.is_medium) == (item.url.digest, bench.address("/media/clip.mp4"), True)


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", ["", "/videos"])
async def test_an_emptied_channel_is_a_list_of_nothing(bench: Bench, channel: Channel, tab: str) -> None:
    channel.items.clear()
    reader = Reader()
    told = await listed(bench, youtube(channel, tab), reader)
    assert (reader.pages, told.count, told.is_medium) == ([], 0, False)
    assert channel.name in told.title


@pytest.mark.parametrize(("status", "code"), [(404, "no_such_video"), (429, "throttled")])
async def test_a_channel_that_is_gone_or_throttles_says_so(bench: Bench, channel: Channel, status: int, code: str) -> None:
    channel.status = status
    assert (await failure_of(bench, youtube(channel))).code == code
    assert (await failure_of(bench, f"/channel/{channel.name}")).code == code


async def test_a_channel_that_begins_to_throttle_keeps_what_it_told(bench: Bench, channel: Channel) -> None:
    class Spoiler(Reader):
        async def found(self, items: Sequence[Found]) -> bool:
            channel.status = 429
            return await super().found(items)

    reader = Spoiler()
    assert (await failure_of(bench, youtube(channel), reader)).code == "throttled"
    assert reader.ids == newest(channel, 30)


async def test_a_page_without_anything_is_unsupported(bench: Bench) -> None:
    assert (await failure_of(bench, "/page/empty")).code == "unsupported"


async def test_a_further_page_at_a_private_address_is_refused_without_a_byte(bench: Bench, channel: Channel, trap: Trap) -> None:
    channel.second_page = f"{trap.base}/more.json"
    reader = Reader()
    assert (await failure_of(bench, youtube(channel), reader)).code == "address_not_allowed"
    assert (len(reader.items), trap.visits) == (30, 0)


async def test_a_private_address_is_not_listed(bench: Bench, trap: Trap) -> None:
    assert (await failure_of(bench, f"{trap.base}/channel")).code == "address_not_allowed"
    assert (await failure_of(bench, f"{trap.base}/channel", is_gallery=True)).code == "address_not_allowed"
    assert trap.visits == 0


async def test_a_page_that_does_not_come_ends_the_look(bench: Bench, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "_PAGE_SECONDS", 1)
    channel.second_page = f"{bench.site.base}/slow/60/media/tiny.mp4"
    async with asyncio.timeout(15):  # yt-dlp alone would try for more than a minute
        assert (await failure_of(bench, youtube(channel))).code == "network"


async def test_the_time_that_the_reader_takes_is_not_the_sites(bench: Bench, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Reader):
        async def found(self, items: Sequence[Found]) -> bool:
            await asyncio.sleep(1.2)
            return await super().found(items)

    monkeypatch.setattr(fetcher, "_PAGE_SECONDS", 1)
    reader = Slow(wants=2)
    await listed(bench, youtube(channel), reader)
    assert len(reader.pages) == 2


async def test_what_the_reader_raises_comes_out_and_the_next_look_works(bench: Bench, channel: Channel) -> None:
    class Broken(Reader):
        async def found(self, items: Sequence[Found]) -> bool:
            raise LookupError(len(items))

    with pytest.raises(LookupError):
        await listed(bench, youtube(channel), Broken())
    reader = Reader(wants=1)
    await listed(bench, youtube(channel), reader)
    assert reader.ids == newest(channel, 30)


async def test_a_look_leaves_nothing_behind(bench: Bench, channel: Channel) -> None:
    await listed(bench, youtube(channel), Reader(wants=1))
    await listed(bench, "https://www.pixiv.net/users/7", Reader(wants=1), is_gallery=True, cookies=COOKIES)
    assert list((bench.fetcher.pool.config.state_directory / "looks").iterdir()) == []


# --- posts of pictures ------------------------------------------------------------------------------------------------

COOKIES = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\tsecret\n"


@pytest.fixture
def painter(bench: Bench) -> Channel:
    """A user of pixiv with a hundred posts; the log is empty."""
    bench.site.reset()
    return bench.site.channels["pixiv100"]


PAINTER = "https://www.pixiv.net/users/100"


def works(painter: Channel, count: int | None = None) -> list[str]:
    return [f"100{item.number:06d}" for item in painter.newest_first()[:count]]


async def test_each_post_is_one_item_however_many_pictures_it_has(bench: Bench, painter: Channel) -> None:
    reader = Reader(wants=1)
    told = await listed(bench, PAINTER, reader, is_gallery=True)
    assert reader.ids == works(painter, 29)
    assert {(item.extractor, item.kind) for item in reader.items} == {("gallery-dl:pixiv", ItemKind.PICTURE)}
    assert (told.title, told.is_medium) == ("Painter 100", False)


async def test_a_post_is_told_with_title_date_and_the_address_of_its_own(bench: Bench, painter: Channel) -> None:
    reader, made = Reader(wants=1), painter.newest_first()[0]
    await listed(bench, PAINTER, reader, is_gallery=True)
    (item,) = reader.items[:1]
    assert (item.url.text, item.title) == (f"https://www.pixiv.net/artworks/{item.id}", made.title)
    assert item.at == made.at
    fetched = await bench.fetch(item.url.text, "picture")
    assert len(fetched.files) == 1 + made.number % 3


async def test_of_a_users_posts_one_page_is_asked_for(bench: Bench, painter: Channel) -> None:
    await listed(bench, PAINTER, Reader(wants=1), is_gallery=True)
    assert asked(bench, painter) == ["posts.json"]


async def test_further_posts_are_asked_for_when_they_are_wanted(bench: Bench, painter: Channel) -> None:
    reader = Reader(wants=2)
    await listed(bench, PAINTER, reader, is_gallery=True)
    assert reader.ids == works(painter, 59)
    assert "posts.json?page=3" not in asked(bench, painter)


async def test_all_posts_come_once_and_in_order(bench: Bench, painter: Channel) -> None:
    reader = Reader()
    told = await listed(bench, PAINTER, reader, is_gallery=True)
    assert (reader.ids, told.count) == (works(painter), 100)


async def test_a_single_post_is_itself(bench: Bench, painter: Channel) -> None:
    reader = Reader()
    told = await listed(bench, "https://www.pixiv.net/artworks/100000007", reader, is_gallery=True)
    assert (reader.ids, told.is_medium) == (["100000007"], True)


async def test_a_user_without_posts_is_a_list_of_nothing(bench: Bench, painter: Channel) -> None:
    painter.items.clear()
    reader = Reader()
    told = await listed(bench, PAINTER, reader, is_gallery=True)
    assert (reader.pages, told.count, told.is_medium) == ([], 0, False)


@pytest.mark.parametrize(("status", "code"), [(404, "no_such_video"), (429, "throttled")])
async def test_a_user_who_is_gone_or_a_site_that_throttles_says_so(bench: Bench, painter: Channel, status: int, code: str) -> None:
    painter.status = status
    assert (await failure_of(bench, PAINTER, is_gallery=True)).code == code


async def test_what_gallery_dl_does_not_know_is_unsupported(bench: Bench) -> None:
    assert (await failure_of(bench, "/page/empty", is_gallery=True)).code == "unsupported"


async def test_further_posts_at_a_private_address_are_refused_without_a_byte(bench: Bench, painter: Channel, trap: Trap) -> None:
    painter.second_page = f"{trap.base}/more.json"
    assert (await failure_of(bench, PAINTER, is_gallery=True)).code == "address_not_allowed"
    assert trap.visits == 0


async def test_cookies_go_to_their_site_and_to_no_other(bench: Bench, painter: Channel, neighbour: MediaSite) -> None:
    painter.second_page = f"{neighbour.base}/channel/elsewhere100/posts.json"
    both = EgressPolicy(allow=(bench.site.base.removeprefix("http://"), neighbour.base.removeprefix("http://")))
    config = bench.fetcher.pool.config
    other = await bench_on(bench.site, bench.root / "neighbours", plugin_dirs=config.plugin_dirs, policy=both)
    try:
        await listed(other, PAINTER, Reader(wants=2), is_gallery=True, cookies=COOKIES)
    finally:
        await other.fetcher.stop()
    assert {one.headers.get("Cookie") for one in bench.site.log} == {"sid=secret"}
    assert [one.headers.get("Cookie") for one in neighbour.log] == [None]


async def test_a_post_is_fetched_and_described_with_the_cookies_of_its_site(bench: Bench) -> None:
    bench.site.reset()
    await bench.fetcher.describe(MediaUrl.parse(bench.address("/post/1")), cookies=COOKIES)
    assert [one.headers.get("Cookie") for one in bench.site.log.of("/post/1")] == ["sid=secret"] * 2  # yt-dlp's look, then gallery-dl's
    bench.site.reset()
    request = bench.request(bench.address("/post/2"), Selection.of("picture"))
    await bench.fetcher.fetch(with_cookies(request), Watcher())
    assert {one.headers.get("Cookie") for one in bench.site.log} == {"sid=secret"}
    assert sorted(path.suffix for path in request.directory.iterdir()) == [".jpg", ".png"]


async def test_only_this_user_of_the_machine_may_read_the_cookies_and_only_while_they_are_used(bench: Bench, painter: Channel) -> None:
    looks = bench.fetcher.pool.config.state_directory / "looks"
    between: list[list[Path]] = []

    class Curious(Reader):
        async def found(self, items: Sequence[Found]) -> bool:
            between.append(list(looks.rglob("*cookies*")))
            return await super().found(items)

    look = asyncio.create_task(listed(bench, PAINTER, Curious(wants=1), is_gallery=True, cookies=COOKIES))
    await until(lambda: any(looks.rglob("*cookies*")))
    (file,) = looks.rglob("*cookies*")
    assert file.stat().st_mode & 0o777 == 0o600
    await look
    assert between == [[]]


async def test_a_look_at_posts_that_is_given_up_leaves_no_process(bench: Bench, painter: Channel) -> None:
    class Patient(Reader):
        begun = asyncio.Event()

        async def found(self, items: Sequence[Found]) -> bool:
            self.begun.set()
            return True

    reader = Patient()
    look = asyncio.create_task(listed(bench, PAINTER, reader, is_gallery=True))
    async with asyncio.timeout(30):
        await reader.begun.wait()
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    assert galleries_running() == []


async def test_without_gallery_dl_posts_are_not_set_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gallery_dl" else find(name))
    assert (await failure_of(bench, PAINTER, is_gallery=True)).code == "pictures_unsupported"


@pytest_asyncio.fixture(loop_scope="session")
async def neighbour(site: MediaSite, tmp_path: Path) -> AsyncIterator[MediaSite]:
    """Another site, on another host."""
    other = MediaSite(tmp_path / "neighbour")
    await other.start("127.0.0.2")
    yield other
    await other.stop()


def with_cookies(request: FetchRequest) -> FetchRequest:
    return replace(request, cookies=COOKIES)
