"""Web pages that hold media, as an extractor finds them in the wild."""

from __future__ import annotations

import json
from html import escape

from aiohttp import web

_MOST_VIDEOS = 500
_MOST_PICTURES = 1000
_PICTURES = ("640x480.jpg", "320x240.png", "1200x800.jpg", "200x300.png", "500x500.webp")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/page/og", _open_graph),
        web.get("/page/jsonld", _json_ld),
        web.get("/page/playlist", _playlist),
        web.get("/page/empty", _empty),
        web.get("/page/title", _title),
        web.get("/page/thumb", _thumbnail_elsewhere),
        web.get(r"/post/{n:\d+}", _post),
    ]


def _origin(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _html(title: str, head: str = "", body: str = "") -> web.Response:
    head = f'<head><meta charset="utf-8"><title>{escape(title)}</title>{head}</head>'
    return web.Response(text=f'<!DOCTYPE html>\n<html lang="en">{head}\n<body>{body}</body></html>\n', content_type="text/html")


def _meta(**properties: str) -> str:
    return "".join(f'\n<meta property="og:{name}" content="{escape(value)}">' for name, value in properties.items())


async def _open_graph(request: web.Request) -> web.Response:
    origin = _origin(request)
    head = _meta(title="An Open Graph video", video=f"{origin}/media/clip.mp4", image=f"{origin}/media/thumb.jpg")
    return _html("An Open Graph page", head)


async def _json_ld(request: web.Request) -> web.Response:
    origin = _origin(request)
    video = {
        "@context": "https://schema.org",
        "@type": "VideoObject",
        "name": "A JSON-LD video",
        "description": "Described in JSON-LD.",
        "contentUrl": f"{origin}/media/clip.mp4",
        "thumbnailUrl": f"{origin}/media/thumb.jpg",
        "uploadDate": "2026-01-02",
        "duration": "PT10S",
        "author": {"@type": "Person", "name": "Test Uploader"},
    }
    return _html("A JSON-LD page", f'<script type="application/ld+json">{json.dumps(video)}</script>')


async def _playlist(request: web.Request) -> web.Response:
    wanted = request.query.get("n", "3")
    count = min(_MOST_VIDEOS, int(wanted)) if wanted.isdecimal() else 3
    videos = "".join(f'\n<video src="{_origin(request)}/n/item{number}.mp4"></video>' for number in range(1, count + 1))
    return _html("A page of videos", body=videos)


async def _empty(_: web.Request) -> web.Response:
    return _html("An empty page", body="<p>Nothing to see here.</p>")


async def _title(request: web.Request) -> web.Response:
    return _html(request.query.get("t", ""), body=f'<video src="{_origin(request)}/media/clip.mp4"></video>')


async def _thumbnail_elsewhere(request: web.Request) -> web.Response:
    elsewhere, video = request.query.get("to", ""), f"{_origin(request)}/media/clip.mp4"
    return _html("A picture from elsewhere", _meta(title="A video with a picture from elsewhere", video=video, image=elsewhere))


async def _post(request: web.Request) -> web.Response:
    """A post of n pictures, by turns JPEG, PNG and WebP of different sizes. Each `with=ADDRESS` comes among them, after the first."""
    count = min(_MOST_PICTURES, int(request.match_info["n"]))
    addresses = [f"{_origin(request)}/picture/{_PICTURES[number % len(_PICTURES)]}?n={number}" for number in range(count)]
    addresses[1:1] = request.query.getall("with", [])
    pictures = "".join(f'\n<img class="picture" src="{escape(address)}">' for address in addresses)
    return _html("A post of pictures", body=pictures)
