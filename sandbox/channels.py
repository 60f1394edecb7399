"""Channels that grow while somebody watches them: their pages, and what happens to them.

There is a channel under every name, from the first look at it on, with as many videos as the number that its name ends in (else three),
the newest first. Pages: `/channel/{name}` as a web page with the newest videos on it · `/channel/{name}.rss` as a feed
· `/channel/{name}/{tab}.json?page=N` thirty items a page, for the stand-ins of YouTube and pixiv; `videos`, `shorts`, `streams`, `posts`.

What happens to one, from within by the methods of `Channels`, from elsewhere by `/_channels/{name}/{verb}`, which answers how it is then:

- `add?count=1&tab=videos&title=T&live_status=L&availability=A` · `remove?count=1` the newest ones · `empty`
- `rename?title=T` · `vanish` 404 from now on · `throttle` 429 from now on · `mend` neither
- `lead?to=URL` where the second page is said to be
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from typing import Any

from aiohttp import web

A_PAGE = 30
_MOST = 100_000
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"(\d+)$")
_USUAL_COUNT = 3
_GONE, _THROTTLED = 404, 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is on a channel: `number` counts from 1, in the order in which they came."""

    id: str
    number: int
    title: str
    tab: str = "videos"
    duration: int = 10
    live_status: str | None = None
    availability: str | None = None

    @property
    def at(self) -> datetime:
        return _BEGINNING + timedelta(hours=self.number)


@dataclass(slots=True, kw_only=True)
class Channel:
    """How it is with one. `items` are in the order in which they came."""

    name: str
    title: str
    items: list[Item] = field(default_factory=list)
    came: int = 0
    status: int = 200
    second_page: str | None = None

    @classmethod
    def named(cls, name: str) -> Channel:
        channel = cls(name=name, title=f"Channel {name}")
        number = _NUMBER.search(name)
        channel.add(min(_MOST, int(number[1])) if number else _USUAL_COUNT)
        return channel

    def add(self, count: int = 1, **traits: Any) -> list[Item]:
        """The new ones, oldest first."""
        mark = hashlib.sha256(self.name.encode()).hexdigest()[:4]
        new = []
        for number in range(self.came + 1, self.came + count + 1):
            told = {"title": f"Item {number} of {self.name}", **traits}
            new.append(Item(id=f"{mark}{number:07d}", number=number, **told))
        self.came += count
        self.items += new
        return new

    def remove(self, count: int = 1) -> None:
        del self.items[len(self.items) - count :]

    def newest_first(self, tab: str | None = None) -> list[Item]:
        return [item for item in reversed(self.items) if tab in {None, item.tab}]


class Channels:
    """All of them, by name."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}

    def __getitem__(self, name: str) -> Channel:
        if name not in self._channels:
            self._channels[name] = Channel.named(name)
        return self._channels[name]

    def reset(self) -> None:
        """As at first."""
        self._channels.clear()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(r"/channel/{name:[\w-]+}/{tab:[a-z]+}.json", self._page),
            web.get(r"/channel/{name:[\w-]+}.rss", self._feed),
            web.get(r"/channel/{name:[\w-]+}", self._html),
            web.route("*", r"/_channels/{name:[\w-]+}/{verb:[a-z]+}", self._control),
        ]

    # --- pages ---------------------------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.Response:
        channel, tab = self._shown(request), request.match_info["tab"]
        page = max(1, int(request.query["page"])) if request.query.get("page", "").isdecimal() else 1
        items = channel.newest_first("videos" if tab == "posts" else tab)
        here = items[(page - 1) * A_PAGE : page * A_PAGE]
        there = f"{_origin(request)}{request.path}?page={page + 1}" if len(items) > page * A_PAGE else None
        return web.json_response(
            {
                "title": channel.title,
                "tabs": sorted({item.tab for item in channel.items}),
                "items": [{**asdict(item), "at": int(item.at.timestamp())} for item in here],
                "next": channel.second_page or there if page == 1 else there,
            }
        )

    async def _html(self, request: web.Request) -> web.Response:
        channel = self._shown(request)
        videos = "".join(f'\n<video src="{_origin(request)}/n/{item.id}.mp4"></video>' for item in channel.newest_first()[:A_PAGE])
        head = f'<head><meta charset="utf-8"><title>{escape(channel.title)}</title></head>'
        return web.Response(text=f'<!DOCTYPE html>\n<html lang="en">{head}\n<body>{videos}</body></html>\n', content_type="text/html")

    async def _feed(self, request: web.Request) -> web.Response:
        channel = self._shown(request)
        items = "".join(
            f"<item><title>{escape(item.title)}</title><guid>{item.id}</guid><pubDate>{format_datetime(item.at)}</pubDate>"
            f'<enclosure url="{_origin(request)}/n/{item.id}.mp4" type="video/mp4" length="1"/></item>\n'
            for item in channel.newest_first()
        )
        text = f'<?xml version="1.0"?>\n<rss version="2.0"><channel><title>{escape(channel.title)}</title>\n{items}</channel></rss>\n'
        return web.Response(text=text, content_type="application/rss+xml")

    def _shown(self, request: web.Request) -> Channel:
        channel = self[request.match_info["name"]]
        if channel.status == _GONE:
            raise web.HTTPNotFound
        if channel.status == _THROTTLED:
            raise web.HTTPTooManyRequests
        return channel

    # --- what happens to them ------------------------------------------------------------------------------------

    async def _control(self, request: web.Request) -> web.Response:
        channel, asked = self[request.match_info["name"]], dict(request.query)
        verbs: dict[str, Callable[[], object]] = {
            "add": lambda: channel.add(_count(asked), **asked),
            "remove": lambda: channel.remove(_count(asked)),
            "empty": channel.items.clear,
            "rename": lambda: setattr(channel, "title", asked["title"]),
            "vanish": lambda: setattr(channel, "status", _GONE),
            "throttle": lambda: setattr(channel, "status", _THROTTLED),
            "mend": lambda: setattr(channel, "status", 200),
            "lead": lambda: setattr(channel, "second_page", asked["to"]),
        }
        try:
            verbs[request.match_info["verb"]]()
        except (KeyError, ValueError, TypeError) as wrong:
            raise web.HTTPBadRequest(text=f"{wrong}\n") from wrong
        newest = [item.id for item in channel.newest_first()[:A_PAGE]]
        return web.json_response({"title": channel.title, "status": channel.status, "count": len(channel.items), "newest": newest})


def _count(asked: dict[str, str]) -> int:
    return min(_MOST, max(0, int(asked.pop("count", "1"))))


def _origin(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"
