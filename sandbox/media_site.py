"""A media site on loopback, for tests, bench and demo. Nothing of it is committed as binary: ffmpeg makes its media.

`python -m sandbox.media_site --port N --directory D` serves until SIGTERM or SIGINT, after one line `media site at http://127.0.0.1:N`.

Files, with Range, If-Range, ETag and Last-Modified (`GET` and `HEAD`, as everywhere):

- `/media/clip.mp4` 1 MB, 10 s, 640x360 h264 and aac · `/media/tiny.mp4` 1 s · `/media/v{144,240,480,720,1080}.mp4` 10 s, picture only
- `/media/song.m4a` aac · `/media/song.webm` opus, both 10 s · `/media/track3min.m4a` 3 minutes, 3 MB
- `/media/minute.mp4` 30 MB, 60 s · `/media/chirp.m4a` 10 s, its pitch tells the time · `/media/dark.mp4` 4 s, black at first
- `/media/thumb.jpg` · `/picture/{width}x{height}.{jpg,png,webp,gif}`
- `/media/subs.vtt` by hand (a cue of two lines, one with tags) · `/media/auto.vtt` rolling, as automatic captions
- `/n/{name}.mp4` the clip under any name · `/blob/{bytes}.mp4` a short mp4 made up to that size with zeros that take no disk space (to
  100 GB) · `/pattern/{bytes}.mp4` likewise, but no two stretches are alike and it does take the space (to 1 GB)

Streams:

- `/hls/index.m3u8?delay=MS` 100 segments of a second, each MS milliseconds late · `/hls/live.m3u8` never ends
- `/hls/private.m3u8?to=URL` segments are at URL · `/hls/file.m3u8` segments are `file:///etc/passwd` · `/dash/manifest.mpd`

Pages: `/page/og` · `/page/jsonld` · `/page/playlist?n=3` so many videos · `/page/empty` · `/page/title?t=TEXT` · `/page/thumb?to=URL`
· `/post/{n}?with=ADDRESS` so many pictures, and those among them: for gallery-dl, see `sandbox.gallery`

In front of any file's path, without its leading slash (`/throttled/100/media/clip.mp4`):

- `/throttled/{kbps}/` at most so many KiB/s a connection · `/slow/{seconds}/?kbps=64` nothing for so long, then a trickle
- `/norange/` no Range · `/noheaders/` nor Content-Length, ETag, Last-Modified · `/truncated/` whatever is asked of the second half, the
  connection is cut instead · `/flaky/{times}/{key}/` 503 for the first so many requests with that key

Misbehaviour:

- `/endless.mp4?kbps=20480` · `/novalidators.mp4` · `/changing.mp4` another content of the same length after each `/changing/bump`
- `/redirect?to=URL` · `/redirect/{n}/{path}` n hops · `/status/{code}` · `/login` 401 · `/geo` 451
- as `video/mp4`: `/html-as-mp4.mp4` an error page · `/disguised.mp4?as=ffconcat|m3u8` names a local file · `/svg.mp4` likewise, and holds
  a script

Channels that grow: `/channel/{name}` and what is below it, see `sandbox.channels`.

About the site itself: `/_log` what was asked and sent, as JSON · `/_reset` forgets that, refusals and changes
· `/_channels/{name}/{verb}` lets something happen to a channel.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

import imageio_ffmpeg
from aiohttp import web

from sandbox import pages
from sandbox.channels import Channels
from sandbox.file_answer import send_file
from sandbox.media_files import MediaFiles, NoSuchMedia
from sandbox.misbehaviour import Misbehaviour
from sandbox.request_log import RequestLog, note_status
from sandbox.streams import Streams

_STOP_WITHIN = 0.1
"""Seconds that open answers are given, twice, before they are cut."""


class MediaSite:
    """The site, its media in `directory` (made when needed; several sites may share one), its `channels`, its `log` of requests."""

    def __init__(self, directory: Path, ffmpeg: str | None = None) -> None:
        self.files = MediaFiles(directory, ffmpeg or imageio_ffmpeg.get_ffmpeg_exe())
        self.log = RequestLog()
        self.channels = Channels()
        self._misbehaviour = Misbehaviour(self.files)
        self._runner: web.AppRunner | None = None
        self._host, self._port = "", 0

    @property
    def base(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"http://{self._host}:{self._port}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        self._host = host
        self._runner = web.AppRunner(self._app(), handle_signals=False, access_log=None, shutdown_timeout=_STOP_WITHIN)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close, within half a second whatever is still being sent."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def prepare(self) -> None:
        """Make all media of fixed names now, about 3 s, instead of when they are first asked for."""
        await self.files.prepare()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def reset(self) -> None:
        """Empty the log and forget refusals and changes."""
        self.log.clear()
        self._misbehaviour.reset()
        self.channels.reset()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self.log.middleware])
        app.on_response_prepare.append(note_status)
        app.add_routes([web.get("/_log", self._show_log), web.route("*", "/_reset", self._reset)])
        app.add_routes([*pages.routes(), *Streams(self.files).routes(), *self._misbehaviour.routes(), *self.channels.routes()])
        app.add_routes([web.get("/{path:(?:media|n|blob|pattern|picture)/.+}", self._file)])
        return app

    async def _file(self, request: web.Request) -> web.StreamResponse:
        try:
            path = await self.files.find(request.match_info["path"])
        except NoSuchMedia:
            raise web.HTTPNotFound from None
        return await send_file(request, path)

    async def _show_log(self, _: web.Request) -> web.Response:
        return web.json_response(self.log.as_json())

    async def _reset(self, _: web.Request) -> web.Response:
        self.reset()
        return web.Response(status=204)


async def serve(site: MediaSite, host: str, port: int, *, prepare: bool) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if prepare:
        await site.prepare()
    await site.start(host, port)
    print(f"media site at {site.base}", flush=True)  # noqa: T201 - the line that whoever started us waits for
    await stop.wait()
    await site.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="A media site for tests, bench and demo.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--directory", type=Path, required=True, help="where its media is made and kept")
    parser.add_argument("--ffmpeg", help="default: the one that imageio-ffmpeg carries")
    parser.add_argument("--prepare", action="store_true", help="make all media before listening")
    given = parser.parse_args()
    asyncio.run(serve(MediaSite(given.directory, given.ffmpeg), given.host, given.port, prepare=given.prepare))


if __name__ == "__main__":
    main()
