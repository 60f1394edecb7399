"""Answers as bad sites give them: slow, cut, endless, redirecting, refusing, lying."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import suppress

from aiohttp import web

from sandbox.file_answer import Manner, chunk_size, send_file, send_paced
from sandbox.media_files import MediaFiles, NoSuchMedia

_KIB = 1024
_MOST_WAIT = 3600.0
_MOST_HOPS = 50
_TRICKLE = 64
_ENDLESS = 20 * _KIB
_LEAST_STATUS, _MOST_STATUS = 200, 599

_DISGUISES = {
    "ffconcat": "ffconcat version 1.0\nfile file:///etc/passwd\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
}
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
    '<image xlink:href="file:///etc/passwd" width="64" height="64"/><script>alert(1)</script></svg>'
)
_ERROR_PAGE = "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"


class Misbehaviour:
    """The routes that do not do what a good site does."""

    def __init__(self, files: MediaFiles) -> None:
        self._files = files
        self._refused: Counter[str] = Counter()
        self._version = 0

    def routes(self) -> list[web.RouteDef]:
        return [*self._sending(), *self._answers()]

    def reset(self) -> None:
        """Forget what `/flaky/` refused, and the changes of `/changing.mp4`."""
        self._refused.clear()
        self._version = 0

    def _sending(self) -> list[web.RouteDef]:
        return [
            web.get(r"/throttled/{kbps:[1-9]\d{0,8}}/{path:.+}", self._throttled),
            web.get("/norange/{path:.+}", self._without_ranges),
            web.get("/noheaders/{path:.+}", self._without_headers),
            web.get(r"/slow/{seconds:\d+(?:\.\d+)?}/{path:.+}", self._slow),
            web.get("/truncated/{path:.+}", self._truncated),
            web.get(r"/flaky/{times:\d+}/{key}/{path:.+}", self._flaky),
            web.get("/endless.mp4", self._endless),
            web.get("/novalidators.mp4", self._without_validators),
            web.get("/changing.mp4", self._changing),
            web.get("/changing/bump", self._bump),
        ]

    def _answers(self) -> list[web.RouteDef]:
        return [
            web.get("/redirect", _redirect),
            web.get(r"/redirect/{n:\d+}/{path:.+}", _hops),
            web.get(r"/status/{code:\d{3}}", _status),
            web.get("/login", _login),
            web.get("/geo", _unavailable_for_legal_reasons),
            web.get("/html-as-mp4.mp4", _html_as_mp4),
            web.get("/disguised.mp4", _disguised),
            web.get("/svg.mp4", _svg_as_mp4),
        ]

    async def _send(self, request: web.Request, manner: Manner, name: str | None = None) -> web.StreamResponse:
        try:
            path = await self._files.find(name or request.match_info["path"])
        except NoSuchMedia:
            raise web.HTTPNotFound from None
        return await send_file(request, path, manner)

    async def _throttled(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, Manner(rate=int(request.match_info["kbps"]) * _KIB))

    async def _without_ranges(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, Manner(ranges=False))

    async def _without_headers(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, Manner(ranges=False, validators=False, length=False))

    async def _without_validators(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, Manner(validators=False), "media/clip.mp4")

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        wait = min(_MOST_WAIT, float(request.match_info["seconds"]))
        return await self._send(request, Manner(wait=wait, rate=_rate(request, _TRICKLE)))

    async def _truncated(self, request: web.Request) -> web.StreamResponse:
        return await self._send(request, Manner(whole=0.5))

    async def _flaky(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        if self._refused[key] < int(request.match_info["times"]):
            self._refused[key] += 1
            return web.Response(status=503, text="Service Unavailable\n")
        return await self._send(request, Manner())

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        answer.enable_chunked_encoding()
        tiny = (await self._files.find("media/tiny.mp4")).read_bytes()
        await answer.prepare(request)
        rate, since = _rate(request, _ENDLESS), asyncio.get_running_loop().time()
        noise = os.urandom(chunk_size(rate))
        data = tiny
        with suppress(ConnectionError):
            while request.method != "HEAD":
                await send_paced(request, answer, data, rate, since)
                data = noise
        return answer

    async def _changing(self, request: web.Request) -> web.StreamResponse:
        return await send_file(request, await self._files.variant(self._version))

    async def _bump(self, _: web.Request) -> web.Response:
        self._version += 1
        return web.json_response({"version": self._version})


def _rate(request: web.Request, usual: int) -> int:
    """Bytes a second, from `?kbps=` or else from `usual` KiB a second."""
    wanted = request.query.get("kbps", "")
    return _KIB * (int(wanted) if wanted.isdecimal() and int(wanted) > 0 else usual)


async def _redirect(request: web.Request) -> web.Response:
    # Not `HTTPFound`, which would tidy an address that is untidy on purpose.
    return web.Response(status=302, headers={"Location": request.query.get("to", "")})


async def _hops(request: web.Request) -> web.Response:
    hops, path = min(_MOST_HOPS, int(request.match_info["n"])), request.match_info["path"]
    onward = f"/redirect/{hops - 1}/{path}" if hops > 1 else f"/{path}"
    return web.Response(status=302, headers={"Location": onward + (f"?{request.query_string}" if request.query_string else "")})


async def _status(request: web.Request) -> web.Response:
    code = int(request.match_info["code"])
    if not _LEAST_STATUS <= code <= _MOST_STATUS:
        raise web.HTTPNotFound
    return web.Response(status=code, text=f"{code}\n" if code not in {204, 304} else None)


async def _login(_: web.Request) -> web.Response:
    return web.Response(status=401, text="Sign in first.\n", headers={"WWW-Authenticate": 'Basic realm="sandbox"'})


async def _unavailable_for_legal_reasons(_: web.Request) -> web.Response:
    return web.Response(status=451, text="Not available in your country.\n")


async def _html_as_mp4(_: web.Request) -> web.Response:
    return web.Response(body=_ERROR_PAGE.encode(), content_type="video/mp4")


async def _disguised(request: web.Request) -> web.Response:
    text = _DISGUISES.get(request.query.get("as", "ffconcat"))
    if text is None:
        raise web.HTTPNotFound
    return web.Response(body=text.encode(), content_type="video/mp4")


async def _svg_as_mp4(_: web.Request) -> web.Response:
    return web.Response(body=_SVG.encode(), content_type="video/mp4")
