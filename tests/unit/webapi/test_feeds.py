"""Podcast feeds over HTTP: what feed validators ask for, what a podcast program reads, and the files that it fetches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from xml.etree import ElementTree as ET

import feedparser  # type: ignore[import-untyped]  # it has none
import pytest
from yarl import URL

from service.feeds import Feeds
from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobFile, JobStatus, MediaFile, MediaKey, Origin
from service.selection import MediaType, Selection
from service.signed_links import SignedLinks
from service.watched import Link
from storage.database import SqlDatabase
from storage.feeds import SqlFeeds
from storage.media import DiskMedia
from storage.migrate import upgrade
from storage.vault import MultiFernetVault
from tests.support.fakes import FakeClock
from tests.unit.webapi.toy import Site, served
from webapi.auth import Authenticator
from webapi.contract import Api
from webapi.feeds import FeedAddresses, FeedFiles, FeedsEndpoints

BASE = "https://magpie.example"
CONTENT = bytes(range(256)) * 40
ITUNES, ATOM = "{http://www.itunes.com/dtds/podcast-1.0.dtd}", "{http://www.w3.org/2005/Atom}"
NASTY = 'A <b>"title"</b> & \x00\x0b\x1b\ufffe 🎵 ]]>'


@dataclass
class Station:
    """A link that keeps audio, its feed, and a client that nobody knows."""

    site: Site
    database: SqlDatabase
    media: DiskMedia
    clock: FakeClock
    feeds: Feeds
    link: Link
    count: int = 0

    @property
    def path(self) -> str:
        return self.feeds.feed_path(self.link.id, self.link.feed_epoch)

    async def add(self, title: str = "T", *, extension: str = "mp3", artist: str | None = None, duration: timedelta | None = None) -> str:
        """A file of the link, an hour after the one before; returns its name."""
        self.count += 1
        self.clock.move(timedelta(hours=1))
        job_id, name, now = UUID(int=self.count), f"{self.count} ü#?% é.{extension}", self.clock.now()
        made = self.media.work_directory(job_id) / "media"
        made.write_bytes(CONTENT)
        location = await self.media.adopt(made, f"store/{self.count}.{extension}")
        key = MediaKey(scope="public", extractor="site", id=f"m{self.count}", selection=f"audio:{extension}:best")
        file = MediaFile(
            key=key,
            kind=MediaType.AUDIO,
            extension=extension,
            size=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            location=location,
            title=title,
            artist=artist,
            duration=duration,
            created_at=now,
        )
        job = Job(
            id=job_id,
            download_session_id=UUID(int=1),
            account_id=self.link.account_id,
            origin=Origin.LINK,
            url=MediaUrl.parse(f"https://example.com/watch?v={self.count}&a=b"),
            selection=Selection.of("audio"),
            link_id=self.link.id,
            status=JobStatus.COMPLETED,
            created_at=now,
            ended_at=now + timedelta(minutes=1, microseconds=17),
        )
        async with self.database.write() as transaction:
            await transaction.jobs.add(job)
            (stored,) = await transaction.media_files.replace(key, [file])
            await transaction.media_files.attach([JobFile(job_id=job_id, media=stored, name=name, path=location)])
        return name

    async def save(self, **change: object) -> None:
        self.link = replace(self.link, **change)  # type: ignore[arg-type]
        async with self.database.write() as transaction:
            await transaction.links.save(self.link)

    async def get(self, path: str | None = None, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.site.http.request(method, URL(self.path if path is None else path, encoded=True), headers=sent) as got:
            return got.status, await got.read(), got.headers

    async def channel(self) -> ET.Element:
        _, body, _ = await self.get()
        found = ET.fromstring(body).find("channel")
        assert found is not None
        return found

    async def read(self) -> Any:
        """As a podcast program does."""
        _, body, _ = await self.get()
        found = feedparser.parse(body)
        assert not found.bozo, found.bozo_exception
        return found


@pytest.fixture
async def station(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Station]:
    url, vault = f"sqlite:///{tmp_path}/magpie.db", MultiFernetVault(["k" * 32])
    await upgrade(url)
    database, media, now = SqlDatabase(url, vault=vault), DiskMedia(tmp_path / "media"), clock.now()
    async with database.write() as transaction:
        account = await transaction.accounts.add("ann", now)
        session = DownloadSession(
            id=UUID(int=1), folder=UUID(int=1), owner_id=account.id, created_by=Origin.LINK, created_at=now, last_activity=now
        )
        await transaction.download_sessions.add(session)
        link = await transaction.links.add(
            Link(
                id=0,
                account_id=account.id,
                url=MediaUrl.parse("https://example.com/channel?a=1&b=2"),
                name="My Favorite Channel & more",
                title="The Channel",
                selection=Selection.of("audio"),
                state_since=now,
                created_at=now,
            )
        )
    assert link is not None
    links, feeds = SignedLinks(vault, clock), Feeds(vault=vault, rows=SqlFeeds(database, vault))
    api = Api(title="", version="")
    addresses = FeedAddresses(public_url=BASE, listen="", links=links, media_ttl=timedelta(hours=1))
    FeedsEndpoints(feeds=feeds, files=FeedFiles(database=database, media=media, links=links), addresses=addresses).register(api)
    async with served(api, authenticator=Authenticator(trust=None)) as site:
        yield Station(site, database, media, clock, feeds, link)
    await database.close()


def texts(element: ET.Element, name: str) -> list[str]:
    return [found.text or "" for found in element.findall(name)]


def is_absolute(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and address.isascii() and " " not in address


def moment(text: str) -> datetime:
    """By RFC 822, with the year in full."""
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", text)
    return parsedate_to_datetime(text)


# --- what validators ask for --------------------------------------------------------------------------------------------


async def test_a_feed_is_rss_in_utf_8(station: Station) -> None:
    status, body, headers = await station.get()
    assert (status, headers["Content-Type"]) == (200, "application/rss+xml; charset=utf-8")
    assert body.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    root = ET.fromstring(body)
    assert (root.tag, root.attrib, [child.tag for child in root]) == ("rss", {"version": "2.0"}, ["channel"])


async def test_the_channel_has_each_element_that_it_must_have_once(station: Station) -> None:
    await station.add()
    channel = await station.channel()
    for name in ("title", "link", "description", "language", f"{ITUNES}explicit", f"{ITUNES}author"):
        (text,) = texts(channel, name)
        assert text.strip(), name
    assert texts(channel, "title") == ["My Favorite Channel & more"]
    assert texts(channel, "link") == ["https://example.com/channel?a=1&b=2"]
    assert re.fullmatch(r"[a-z]{2}", texts(channel, "language")[0])


async def test_the_channel_names_its_own_address(station: Station) -> None:
    (own,) = (await station.channel()).findall(f"{ATOM}link")
    assert own.attrib == {"href": BASE + station.path, "rel": "self", "type": "application/rss+xml"}


async def test_no_directory_may_list_a_private_feed(station: Station) -> None:
    assert texts(await station.channel(), f"{ITUNES}block") == ["Yes"]
    assert (await station.get())[2]["X-Robots-Tag"] == "noindex"


async def test_every_item_has_what_it_must_have_once(station: Station) -> None:
    for number in range(3):
        await station.add(f"T{number}")
    items = (await station.channel()).findall("item")
    assert len(items) == 3
    for item in items:
        for name in ("title", "link", "description", "guid", "pubDate"):
            (text,) = texts(item, name)
            assert text.strip(), name
        (enclosure,) = item.findall("enclosure")
        assert enclosure.keys() == ["url", "length", "type"]
        assert (enclosure.get("length"), enclosure.get("type")) == (str(len(CONTENT)), "audio/mpeg")


async def test_guids_are_no_addresses_and_each_is_of_one_item(station: Station) -> None:
    for _ in range(3):
        await station.add()
    guids = [item.find("guid") for item in (await station.channel()).findall("item")]
    assert {guid.get("isPermaLink") for guid in guids if guid is not None} == {"false"}
    assert [guid.text for guid in guids if guid is not None] == ["site:m3", "site:m2", "site:m1"]


async def test_every_date_is_as_rfc_822_has_it_and_newer_items_come_first(station: Station) -> None:
    for _ in range(3):
        await station.add()
    channel = await station.channel()
    dates = [moment(text) for item in channel.findall("item") for text in texts(item, "pubDate")]
    assert dates == [datetime(2026, 11, 21, hour, tzinfo=UTC) for hour in (15, 14, 13)]
    assert moment(*texts(channel, "lastBuildDate")) == datetime(2026, 11, 21, 15, 1, tzinfo=UTC)


async def test_every_address_is_absolute(station: Station) -> None:
    await station.add()
    channel = await station.channel()
    (item,) = channel.findall("item")
    places = [element.get("url", "") for element in item.findall("enclosure")] + [element.get("href", "") for element in channel]
    addresses = [*texts(channel, "link"), *texts(item, "link"), *filter(None, places)]
    assert len(addresses) == 4
    assert [address for address in addresses if not is_absolute(address)] == []


@pytest.mark.parametrize(("duration", "told"), [(timedelta(minutes=62, seconds=3.6), ["3724"]), (None, [])])
async def test_a_duration_is_told_in_whole_seconds_where_it_is_known(station: Station, duration: timedelta | None, told: list[str]) -> None:
    await station.add(duration=duration)
    assert texts((await station.channel()).findall("item")[0], f"{ITUNES}duration") == told


async def test_what_xml_cannot_hold_is_left_out_and_what_it_can_is_not(station: Station) -> None:
    await station.save(name=NASTY)
    await station.add(NASTY, artist=NASTY)
    channel = await station.channel()
    cleaned = 'A <b>"title"</b> &  🎵 ]]>'
    assert texts(channel, "title") == [cleaned]
    (item,) = channel.findall("item")
    assert texts(item, "title") == texts(item, f"{ITUNES}author") == [cleaned]
    assert texts(item, "description")[0].startswith(cleaned)


async def test_a_file_without_a_title_has_its_name(station: Station) -> None:
    name = await station.add(" ")
    assert texts((await station.channel()).findall("item")[0], "title") == [name]


async def test_a_feed_without_files_is_a_feed_all_the_same(station: Station) -> None:
    found = await station.read()
    assert (found.feed.title, found.entries) == ("My Favorite Channel & more", [])


async def test_a_secret_address_is_shown_without_its_secret(station: Station) -> None:
    await station.save(url=MediaUrl.parse("https://user:pass@example.com/c?token=s3cr3t"))
    _, body, _ = await station.get()
    assert b"https://example.com/c" in body
    assert b"s3cr3t" not in body
    assert b"pass@" not in body


# --- what a program reads -----------------------------------------------------------------------------------------------


async def test_a_podcast_program_reads_it(station: Station) -> None:
    await station.add("First <episode>", artist="Ann", duration=timedelta(seconds=90))
    await station.add("Second", extension="m4a")
    found = await station.read()
    assert found.version == "rss20"
    assert [entry.title for entry in found.entries] == ["Second", "First <episode>"]
    first = found.entries[1]
    assert (first.id, first.author, first.itunes_duration) == ("site:m1", "Ann", "90")
    assert first.published_parsed[:6] == (2026, 11, 21, 13, 0, 0)
    assert [(one.type, one.length) for one in first.enclosures] == [("audio/mpeg", str(len(CONTENT)))]
    assert found.entries[1].link == "https://example.com/watch?v=1&a=b"


@pytest.mark.parametrize("extension", ["mp3", "m4a", "opus", "wav", "flac"])
async def test_every_format_of_audio_is_served_as_what_the_feed_says(station: Station, extension: str) -> None:
    await station.add(extension=extension)
    (enclosure,) = (await station.read()).entries[0].enclosures
    status, body, headers = await station.get(enclosure.href.removeprefix(BASE))
    assert (status, body) == (200, CONTENT)
    assert headers["Content-Type"] == enclosure.type


# --- its files ----------------------------------------------------------------------------------------------------------


async def enclosed(station: Station) -> str:
    await station.add()
    return str((await station.read()).entries[0].enclosures[0].href).removeprefix(BASE)


async def test_a_file_can_be_fetched_in_parts(station: Station) -> None:
    path = await enclosed(station)
    status, body, headers = await station.get(path, Range="bytes=100-199")
    assert (status, body) == (206, CONTENT[100:200])
    assert headers["Content-Range"] == f"bytes 100-199/{len(CONTENT)}"
    assert (await station.get(path, Range=f"bytes={len(CONTENT)}-"))[0] == 416


async def test_a_file_can_be_asked_about(station: Station) -> None:
    path = await enclosed(station)
    status, body, headers = await station.get(path, method="HEAD")
    assert (status, body, headers["Content-Length"], headers["Accept-Ranges"]) == (200, b"", str(len(CONTENT)), "bytes")
    assert (await station.get(path, If_None_Match=headers["ETag"]))[0] == 304


async def test_a_file_is_there_weeks_later(station: Station) -> None:
    path = await enclosed(station)
    station.clock.move(timedelta(weeks=52))
    assert (await station.get(path))[0] == 200


async def test_a_file_that_was_deleted_is_404(station: Station) -> None:
    path = await enclosed(station)
    async with station.database.writer.begin() as connection:
        await connection.exec_driver_sql("delete from job_files")
    assert (await station.get(path))[0] == 404


@pytest.mark.parametrize("name", ["other.mp3", "x" * 300, "..%2f..%2fmagpie.db", "%00"])
async def test_a_file_that_is_none_of_the_feeds_is_404(station: Station, name: str) -> None:
    path = await enclosed(station)
    assert (await station.get(f"{path.rpartition('/')[0]}/{name}"))[0] == 404


# --- who may, and what is sent again ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/feeds/1", "/feeds/1.AAAAAAAAAAAAAAAAAAAAAA", "/feeds/x", "/feeds/%ff%00"])
async def test_a_wrong_address_is_404(station: Station, path: str) -> None:
    assert (await station.get(path))[0] == 404


async def test_an_address_that_was_withdrawn_is_404_with_all_its_files(station: Station) -> None:
    file, feed = await enclosed(station), station.path
    await station.save(feed_epoch=1)
    assert [(await station.get(path))[0] for path in (feed, file)] == [404, 404]
    assert (await station.get())[0] == 200


async def test_a_link_that_keeps_video_says_why_it_has_no_feed(station: Station) -> None:
    await station.save(selection=Selection.of("video"))
    status, body, _ = await station.get()
    assert status == 404
    assert b"only links that keep audio have one" in body


async def test_a_feed_that_did_not_change_is_not_sent_again(station: Station) -> None:
    await station.add()
    _, _, headers = await station.get()
    status, body, again = await station.get(If_None_Match=headers["ETag"])
    assert (status, body, again["ETag"], again["Cache-Control"]) == (304, b"", headers["ETag"], "private, no-cache")


async def test_a_feed_that_changed_is_sent_again(station: Station) -> None:
    await station.add()
    _, _, headers = await station.get()
    await station.add()
    assert (await station.get(If_None_Match=headers["ETag"]))[0] == 200


async def test_what_left_a_feed_is_noticed_by_its_tag_though_nothing_newer_came(station: Station) -> None:
    await station.add()
    await station.add()
    _, _, headers = await station.get()
    async with station.database.writer.begin() as connection:
        await connection.exec_driver_sql("delete from job_files where name like '1 %'")
    assert (await station.get(If_None_Match=headers["ETag"]))[0] == 200


async def test_a_date_alone_does_not_keep_a_feed_back(station: Station) -> None:
    """A new name, and what went, change it and no date."""
    await station.add()
    _, _, headers = await station.get()
    assert "Last-Modified" not in headers
    assert (await station.get(If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT"))[0] == 200


async def test_a_feed_can_be_asked_about(station: Station) -> None:
    await station.add()
    _, body, _ = await station.get()
    status, nothing, headers = await station.get(method="HEAD")
    assert (status, nothing, headers["Content-Length"]) == (200, b"", str(len(body)))
