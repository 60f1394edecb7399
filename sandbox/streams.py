"""HLS and DASH, sound and unsound."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from sandbox.file_answer import CONTENT_TYPES, send_file
from sandbox.media_files import HLS_SEGMENTS, MediaFiles, NoSuchMedia

_M3U8 = CONTENT_TYPES[".m3u8"]
_MOST_DELAY = 10.0
_LIVE_WINDOW = 5


class Streams:
    """The routes below `/hls/` and `/dash/`."""

    def __init__(self, files: MediaFiles) -> None:
        self._files = files
        self._started = time.monotonic()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/hls/index.m3u8", self._index),
            web.get("/hls/private.m3u8", self._elsewhere),
            web.get("/hls/live.m3u8", self._live),
            web.get("/hls/file.m3u8", self._local_file),
            web.get(r"/hls/{name:seg\d+\.ts}", self._segment),
            web.get("/dash/{name}", self._dash),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        text = (await self._files.find("hls/index.m3u8")).read_text()
        if delay := request.query.get("delay"):
            text = text.replace(".ts\n", f".ts?delay={delay}\n")
        return _playlist(text)

    async def _segment(self, request: web.Request) -> web.StreamResponse:
        """`delay` is the latency in milliseconds."""
        delay = request.query.get("delay", "0")
        await asyncio.sleep(min(_MOST_DELAY, int(delay) / 1000) if delay.isdecimal() else 0)
        return await self._file(request, f"hls/{request.match_info['name']}")

    async def _dash(self, request: web.Request) -> web.StreamResponse:
        return await self._file(request, f"dash/{request.match_info['name']}")

    async def _file(self, request: web.Request, name: str) -> web.StreamResponse:
        try:
            path = await self._files.find(name)
        except NoSuchMedia:
            raise web.HTTPNotFound from None
        return await send_file(request, path)

    async def _elsewhere(self, request: web.Request) -> web.Response:
        return _playlist(_vod([request.query.get("to", "")] * 3))

    async def _local_file(self, _: web.Request) -> web.Response:
        return _playlist(_vod(["file:///etc/passwd"] * 3))

    async def _live(self, _: web.Request) -> web.Response:
        """A window that moves on by a segment a second and never ends."""
        now = int(time.monotonic() - self._started)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{now}"]
        for number in range(now, now + _LIVE_WINDOW):
            lines += ["#EXTINF:1.0,", f"seg{number % HLS_SEGMENTS:03d}.ts"]
        return _playlist("\n".join(lines) + "\n")


def _vod(segments: list[str]) -> str:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for segment in segments:
        lines += ["#EXTINF:1.0,", segment]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def _playlist(text: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": _M3U8})
