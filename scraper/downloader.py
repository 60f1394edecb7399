"""yt-dlp's `YoutubeDL`, bounded: one item, web addresses only, nothing printed, every answer noted."""

from __future__ import annotations

import itertools
import re
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from yt_dlp import YoutubeDL
from yt_dlp.downloader import PROTOCOL_MAP
from yt_dlp.downloader.external import FFmpegFD
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking import Request, Response
from yt_dlp.networking.exceptions import HTTPError, TransportError

from scraper.digest import RunningDigest
from scraper.failures import JobFailed
from scraper.guard import Guard
from scraper.lists import SeveralItems, entries_of, is_list
from scraper.ranges import RangesFD

_TRIES = 3
_TRY_AGAIN = frozenset({500, 502, 503, 504})
_MAX_WAIT = 5.0
_UNRESOLVABLE = 10

Extractors = Mapping[str, type[InfoExtractor] | InfoExtractor]


class _Silent:
    """yt-dlp's logger: what it says may hold addresses with secrets, and failures are raised as well."""

    def debug(self, text: str) -> None: ...
    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


def default_extractors(options: Mapping[str, Any]) -> Extractors:
    """All extractors, in order. It takes 50 ms, so it is done once and given to each `Downloader`."""
    with YoutubeDL({**options, "logger": _Silent()}) as ydl:
        return {key: found for key, found in ydl._ies.items() if isinstance(found, type)}  # noqa: SLF001 - yt-dlp has no other way to it


class Downloader(YoutubeDL):  # type: ignore[misc] # yt-dlp is not typed
    """For one job. `ask_proxy` returns where the filtering proxy listens: called only when ffmpeg is to fetch something itself."""

    def __init__(self, options: Mapping[str, Any], extractors: Extractors, guard: Guard, ask_proxy: Callable[[], tuple[str, int]]) -> None:
        super().__init__({**options, "logger": _Silent()}, auto_init=False)
        self._ies = dict(extractors)
        self.guard = guard
        self.ask_proxy = ask_proxy
        self.is_looking = True
        """While the page is looked at, a passing failure of the site is tried again here; downloads have loops of their own."""
        self.answers: dict[str, Mapping[str, str]] = {}
        """Headers of what was asked for, by address: a length seen while looking is a size known before the download."""
        self.last_answer: Response | None = None
        self.digests: dict[str, RunningDigest] = {}
        self._open: weakref.WeakSet[Response] = weakref.WeakSet()

    def urlopen(self, req: Request | str) -> Response:
        address = req if isinstance(req, str) else req.url
        if urlsplit(address).scheme.lower() not in {"http", "https"}:
            raise self.guard.refuse_address(f"an address of the kind {urlsplit(address).scheme[:20]!r}")
        for attempt in range(_TRIES):
            try:
                # A copy: yt-dlp changes the request it is given, and may be given it again.
                response: Response = super().urlopen(req if isinstance(req, str) else req.copy())
            except (HTTPError, TransportError) as failure:
                if self.guard.refused_address is not None:
                    raise JobFailed("address_not_allowed", self.guard.refused_address) from failure
                wait = self._wait(failure, attempt)
                if wait is None:
                    raise
                time.sleep(wait)
            else:
                self._open.add(response)
                self.answers[address] = response.headers
                self.answers[response.url] = response.headers
                return response
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Also what was left half read: the worker lives on, and so would the connection."""
        for response in list(self._open):
            response.close()
        super().close()

    def _wait(self, failure: HTTPError | TransportError, attempt: int) -> float | None:
        """Seconds until another try makes sense, or None. yt-dlp itself does not try a page again."""
        if not self.is_looking or attempt == _TRIES - 1 or (isinstance(failure, HTTPError) and failure.status not in _TRY_AGAIN):
            return None
        asked = failure.response.headers.get("Retry-After", "") if isinstance(failure, HTTPError) else ""
        return min(_MAX_WAIT, float(asked)) if asked.isdigit() else 0.2 * 4.0**attempt

    def note_answer(self, response: Response) -> None:
        """The answer that carries the medium itself: its headers tell later whether the medium changed."""
        self.last_answer = response

    def note_digest(self, filename: str, digest: RunningDigest) -> None:
        """The file's digest, as it was computed on the way."""
        self.digests[filename] = digest

    def process_ie_result(self, ie_result: dict[str, Any], download: bool = True, extra_info: dict[str, Any] | None = None) -> Any:  # noqa: FBT001, FBT002 - yt-dlp's signature
        """A list with one item is that item. Raises `SeveralItems` for more, `JobFailed` with `unsupported` for none."""
        if is_list(ie_result):
            ie_result = self._only_entry(ie_result)
        return super().process_ie_result(ie_result, download, extra_info)

    def _only_entry(self, listing: Mapping[str, Any]) -> dict[str, Any]:
        for _ in range(_UNRESOLVABLE):
            entries = entries_of(listing)
            items = list(itertools.islice(entries, 2))
            if len(items) > 1:
                raise SeveralItems(listing, itertools.chain(items, entries))
            if not items:
                raise JobFailed("unsupported", "an empty list")
            if not is_list(items[0]):
                return dict(items[0])
            listing = items[0]
        raise JobFailed("unsupported", "lists without end")


def is_site_wide(info: Mapping[str, Any], extractors: Extractors) -> bool:
    """Whether the extractor's ids are unique: not when it takes any host's pages, since two hosts may use one id."""
    key = str(info.get("extractor_key") or "Generic")
    extractor = extractors.get(key)
    address = info.get("webpage_url") or info.get("original_url") or ""
    if extractor is None or key in {"Generic", "Html5MediaEmbed", "HTML5MediaEmbed", "Mastodon"} or not info.get("id"):
        return False
    return not extractor.suitable(re.sub(r"^(https?://)[^/?#]+", r"\1any.invalid", address))


def install_downloaders() -> None:
    """Make yt-dlp choose our downloader for plain files, and give ffmpeg addresses only with the proxy. Once a process."""
    PROTOCOL_MAP.update(http=RangesFD, https=RangesFD)
    original = FFmpegFD._call_downloader  # noqa: SLF001 - where ffmpeg is started

    def through_proxy(self: Any, tmpfilename: str, info_dict: dict[str, Any]) -> Any:
        ydl: Downloader = self.ydl
        for chosen in info_dict.get("requested_formats") or [info_dict]:
            if not str(chosen["url"]).startswith(("http://", "https://")):
                raise ydl.guard.refuse_address("an address for ffmpeg that is not of the web")
        proxy = ydl.ask_proxy()
        ydl.guard.through_proxy(proxy)
        self.params = {**self.params, "proxy": f"http://{proxy[0]}:{proxy[1]}"}
        try:
            return original(self, tmpfilename, info_dict)
        finally:
            ydl.guard.through_proxy(None)

    FFmpegFD._call_downloader = through_proxy  # noqa: SLF001 - where ffmpeg is started
