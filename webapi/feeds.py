"""`/feeds/{token}`: a link's audio as a podcast, for programs that cannot log in: the address is the credential."""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote
from xml.etree import ElementTree as ET

from aiohttp import web

from service.errors import FeedNotFound, MediaNotFound, NoAudioFeed
from service.feeds import Episode, Feed, Feeds
from service.model import JobFile
from webapi.addresses import Addresses
from webapi.contract import EVERYBODY, Api, Content
from webapi.media import MAX_NAME, MediaFilesEndpoint
from webapi.parameters import Header
from webapi.ranges import answer_for, wanted

RSS = "application/rss+xml"
LANGUAGE = "en"
"""Of what we say ourselves; nobody tells which one the media are in."""
_ITUNES, _ATOM = "http://www.itunes.com/dtds/podcast-1.0.dtd", "http://www.w3.org/2005/Atom"
_TYPES = {"mp3": "audio/mpeg", "m4a": "audio/mp4", "opus": "audio/ogg", "wav": "audio/wav", "flac": "audio/flac"}
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 has no way to write these characters, not even escaped."""


class FeedAddresses(Addresses):
    """Knows the addresses of feeds, too."""

    def feed(self, request: web.Request, path: str) -> str:
        """`path` is what `Feeds.feed_path` gives."""
        return self._base(request) + path


class FeedFiles(MediaFilesEndpoint):
    """Sends a file to whoever the feed's own token has let in."""

    async def send(self, request: web.Request, shown: JobFile) -> web.StreamResponse:
        part = wanted(request.method, request.headers, etag=shown.media.sha256, size=shown.media.size)
        return await self._send(request, shown, part)


class FeedsEndpoints:
    """Files are served below the feed's own path: podcast programs come for them weeks after they have read of them."""

    def __init__(self, *, feeds: Feeds, files: FeedFiles, addresses: FeedAddresses) -> None:
        self._feeds, self._files, self._addresses = feeds, files, addresses

    def register(self, api: Api) -> None:
        faults = [FeedNotFound, NoAudioFeed]
        api.route(
            "GET",
            "/feeds/{token}",
            access=EVERYBODY,
            tags=["Feeds"],
            faults=faults,
            answers={200: Content(RSS), 304: None},
            failures=[412],
        )(self.get_feed)
        api.route(
            "GET",
            "/feeds/{token}/{job}/{file}",
            access=EVERYBODY,
            tags=["Feeds"],
            faults=[*faults, MediaNotFound],
            answers={200: Content("application/octet-stream"), 206: Content("application/octet-stream"), 304: None},
            failures=[412, 416],
        )(self.get_feed_file)

    async def get_feed(self, request: web.Request, token: str) -> web.StreamResponse:
        """The podcast feed of a link (RSS 2.0): the newest 300 of its audio files that are still there.

        For whoever has its address, until the link's owner withdraws it. Only links that keep audio have one.
        """
        feed = await self._feeds.feed(token)
        address = self._addresses.feed(request, self._feeds.feed_path(feed.link.id, feed.link.feed_epoch))
        body = await asyncio.to_thread(document, feed, address)
        headers = {
            "Content-Type": f"{RSS}; charset=utf-8",
            "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
            "Cache-Control": "private, no-cache",
            "X-Robots-Tag": "noindex",
        }
        # Read as for HEAD, which knows no ranges: nobody wants a part of a feed. A date says nothing of a new name, or of what went.
        part = wanted("HEAD", request.headers, etag=headers["ETag"].strip('"'), size=len(body))
        return web.Response(body=body, headers=headers) if part.status is HTTPStatus.OK else answer_for(part, headers, len(body))

    async def get_feed_file(
        self, request: web.Request, token: str, job: str, file: str, byte_range: Annotated[str | None, Header("Range")] = None
    ) -> web.StreamResponse:
        """A file of a podcast feed. Ranges and entity tags work."""
        del byte_range  # read together with the conditions; here for the document
        if len(file.encode(errors="replace")) > MAX_NAME:
            raise MediaNotFound
        return await self._files.send(request, await self._feeds.file(token, job, file))


# --- the document -------------------------------------------------------------------------------------------------------


def document(feed: Feed, address: str) -> bytes:
    """RSS 2.0 with what podcast programs want besides. `address` is the feed's own."""
    # The prefixes are written as they stand: to register them would change them for the whole process.
    rss = ET.Element("rss", {"version": "2.0", "xmlns:itunes": _ITUNES, "xmlns:atom": _ATOM})
    channel = ET.SubElement(rss, "channel")
    name, site = feed.link.title or feed.link.name, feed.link.url.shown
    ET.SubElement(channel, "atom:link", {"href": address, "rel": "self", "type": RSS})
    _add(channel, "title", feed.link.name)
    _add(channel, "link", site)
    _add(channel, "description", f"What came of {name} ({site}). A private feed, made by Magpie.")
    _add(channel, "language", LANGUAGE)
    _add(channel, "generator", "Magpie")
    _add(channel, "lastBuildDate", _date(feed.changed_at))
    _add(channel, "itunes:author", name)
    _add(channel, "itunes:explicit", "false")
    _add(channel, "itunes:block", "Yes")  # else a program's directory may list what is private
    for episode in feed.episodes:
        _add_item(channel, episode, address)
    ET.indent(rss)
    written: bytes = ET.tostring(rss, encoding="utf-8", xml_declaration=True)
    return written


def _add_item(channel: ET.Element, episode: Episode, address: str) -> None:
    file, media = episode.file, episode.file.media
    item = ET.SubElement(channel, "item")
    _add(item, "title", media.title.strip() or file.name)
    _add(item, "link", episode.url.shown)
    _add(item, "description", "\n".join(filter(None, (media.artist, episode.url.shown))))
    _add(item, "guid", episode.guid, isPermaLink="false")
    _add(item, "pubDate", _date(episode.seen_at))
    place = f"{address}/{file.job_id}/{quote(file.name, safe='')}"
    kind = _TYPES.get(media.extension.lower().lstrip("."), "application/octet-stream")
    ET.SubElement(item, "enclosure", {"url": place, "length": str(media.size), "type": kind})
    if media.artist:
        _add(item, "itunes:author", media.artist)
    if media.duration is not None:
        _add(item, "itunes:duration", str(round(media.duration.total_seconds())))


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = _NOT_IN_XML.sub("", text)


def _date(moment: datetime) -> str:
    """As RFC 822 has it, with the year in full."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)
