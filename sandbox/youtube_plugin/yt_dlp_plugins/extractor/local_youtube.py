# ruff: noqa: INP001 - yt-dlp finds plugins in namespace packages
"""A yt-dlp plugin that stands in for YouTube's extraction, and for nothing else: download and post-processing stay real.

This file is a template: `sandbox.youtube.write_plugin` copies it with the two constants replaced. How a video id begins decides what
happens; every other id is a public video of ten seconds.

- refused, in YouTube's words: `PRIVATE`, `AGE` (restricted), `GEO` (not in this country), `GONE`, `BOT` (asks for a sign-in), `UPCOM`
  (a premiere that is still to come)
- `LIVE` is a running live stream · `HUGE` says it has 10^12 bytes · `LONG` says it lasts 50 hours · `TRK3M` lasts 3 minutes
- `THUMB` has its picture at a private address · `TITLE` has a nasty title
- `SLOW` is sent at 100 KiB/s · `FLAKY` is refused once with 503 for each video
- `POST` is a post without a video · `CHIRP` sounds so that its pitch tells the time
Subtitles are in English and Spanish by hand, and in German as a machine heard it. The playlist `PL` and a number has so many videos,
every other list and channel thirty: `vid00000000` to `vid00000029`. A channel's own address leads to its tabs, of which only the
videos' is not empty. Whose handle begins with `@grow` has the items of the media site's channel of that name (`@grows5000` so many), thirty
a page, each page asked of the site; as with YouTube itself, a channel's own address brings the first page of each of its tabs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from yt_dlp.extractor.youtube import YoutubeIE, YoutubeTabIE
from yt_dlp.utils import ExtractorError, parse_qs, remove_end

BASE = "http://127.0.0.1:1"
SIZES: dict[str, int] = {}

_CHANNEL_ID = "UC" + "x" * 22
_CHANNEL = {
    "channel": "Test Channel",
    "channel_id": _CHANNEL_ID,
    "channel_url": f"https://www.youtube.com/channel/{_CHANNEL_ID}",
    "uploader": "Test Channel",
    "uploader_id": "@testchannel",
    "uploader_url": "https://www.youtube.com/@testchannel",
}
_REFUSALS = {
    "PRIVATE": "Private video. Sign in if you've been granted access to this video",
    "AGE": "Sign in to confirm your age. This video may be inappropriate for some users.",
    "GONE": "Video unavailable",
    "BOT": "Sign in to confirm you\u2019re not a bot",
    "UPCOM": "Premieres in 2 hours",
    "POST": "There is no video in this post",
}
_NASTY_TITLE = "../../etc/passwd\0 \u202e \U0001f600 " + "x" * 500
_HEIGHTS = (144, 240, 480, 720, 1080)
_ENTRIES = 30
_NUMBERED_LIST = re.compile(r"PL(\d{1,5})")
_CHANNEL_ADDRESS = re.compile(r"(https?://[^/]+/(?:@|channel/)[^/?]+)(/\w+)?/?")
_GROWING = re.compile(r"https?://[^/]+/@(grow[\w-]*)(?:/(\w+))?/?")
_TABS = ("videos", "streams", "shorts")
_DURATIONS = {"LONG": 50 * 3600, "TRK3M": 180}


class _LocalYoutubeIE(YoutubeIE, plugin_name="local"):  # type: ignore[misc] # yt-dlp is untyped
    def _real_extract(self, url: str) -> dict[str, Any]:
        video = self._match_id(url)
        self._refuse(video)
        live, upcoming = video.startswith("LIVE"), video.startswith("UPCOM")
        duration = next((seconds for start, seconds in _DURATIONS.items() if video.startswith(start)), 10)
        picture = "http://127.0.0.2:1/x.jpg" if video.startswith("THUMB") else f"{BASE}/media/thumb.jpg"
        return {
            "id": video,
            "title": _NASTY_TITLE if video.startswith("TITLE") else f"Test video {video}",
            "description": "A video of the local media site.",
            **_CHANNEL,
            "formats": [] if upcoming else self._live_formats(video) if live else _formats(video),
            "duration": None if live or upcoming else duration,
            "thumbnails": [{"id": "0", "url": picture, "width": 640, "height": 360}],
            "upload_date": "20260102",
            "view_count": 5,
            "age_limit": 0,
            "availability": "public",
            "live_status": "is_live" if live else "is_upcoming" if upcoming else "not_live",
            "subtitles": {
                code: [{"url": f"{BASE}/media/subs.vtt?lang={code}", "ext": "vtt", "name": name}]
                for code, name in (("en", "English"), ("es", "Spanish"))
            },
            "automatic_captions": {"de": [{"url": f"{BASE}/media/auto.vtt", "ext": "vtt", "name": "German"}]},
            "chapters": [
                {"start_time": 0, "end_time": duration / 2, "title": "The first half"},
                {"start_time": duration / 2, "end_time": duration, "title": "The second half"},
            ],
        }

    def _refuse(self, video: str) -> None:
        """Raise as YouTube's own extractor does, hints included; it too goes on without formats when asked to ignore that."""
        if video.startswith("GEO"):
            self.raise_geo_restricted("The uploader has not made this video available in your country", ["DE"], metadata_available=True)
        for start, reason in _REFUSALS.items():
            if video.startswith(start):
                hint = f". {self._youtube_login_hint}" if "sign in" in reason.lower() else ""
                self.raise_no_formats(ExtractorError(remove_end(reason, ".") + hint if hint else reason, expected=True), expected=True)

    def _live_formats(self, video: str) -> list[dict[str, Any]]:
        formats: list[dict[str, Any]] = self._extract_m3u8_formats(f"{BASE}/hls/live.m3u8", video, "mp4", live=True)
        return formats


class _LocalYoutubeTabIE(YoutubeTabIE, plugin_name="local"):  # type: ignore[misc] # yt-dlp is untyped
    def _real_extract(self, url: str) -> dict[str, Any]:
        if growing := _GROWING.fullmatch(url):
            return self._growing(growing[1], growing[2])
        query = parse_qs(url)
        video = query.get("v", [None])[0]
        if video and self.get_param("noplaylist"):
            return self._video(video, None)
        playlist = query.get("list", [_CHANNEL_ID])[0]
        channel = _CHANNEL_ADDRESS.fullmatch(url)
        numbered = _NUMBERED_LIST.fullmatch(playlist)
        count = int(numbered[1]) if numbered else 0 if channel and channel[2] == "/shorts" else _ENTRIES
        title = f"Test playlist {playlist}" if "list" in query else "Test Channel - Videos"
        entries = self._tabs(channel[1]) if channel and not channel[2] else self._entries(count)
        said = {"playlist_count": count} if "list" in query else {}
        result: dict[str, Any] = self.playlist_result(entries, playlist, title, **_CHANNEL, **said)
        return result

    def _tabs(self, channel: str) -> Iterator[dict[str, Any]]:
        for tab in ("videos", "shorts"):
            yield self.url_result(f"{channel}/{tab}", ie=YoutubeTabIE.ie_key())

    def _entries(self, count: int) -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield self._video(f"vid{number:08d}", f"Test video vid{number:08d}")

    def _growing(self, name: str, tab: str | None) -> dict[str, Any]:
        first = self._page(f"{BASE}/channel/{name}/{tab or _TABS[0]}.json", name)
        if tab and tab not in first["tabs"]:
            raise ExtractorError(f"This channel does not have a {tab} tab", expected=True)
        tabs = [tab] if tab else [one for one in _TABS if one in first["tabs"]]
        pages = {_TABS[0]: first, tab: first}
        lists = [self._tab(name, one, pages.get(one) or self._page(f"{BASE}/channel/{name}/{one}.json", name)) for one in tabs]
        if len(lists) == 1:
            return lists[0]
        result: dict[str, Any] = self.playlist_result(lists, f"@{name}", first["title"], **_CHANNEL)
        return result

    def _page(self, address: str, name: str) -> dict[str, Any]:
        page: dict[str, Any] = self._download_json(address, name)
        return page

    def _tab(self, name: str, tab: str, first: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self.playlist_result(
            self._items(name, first),
            f"@{name}",
            f"{first['title']} - {tab.title()}",
            webpage_url=f"https://www.youtube.com/@{name}/{tab}",
            extractor_key=YoutubeTabIE.ie_key(),
            **_CHANNEL,
        )
        return result

    def _items(self, name: str, page: dict[str, Any]) -> Iterator[dict[str, Any]]:
        while True:
            for item in page["items"]:
                yield self._item(item)
            if not page["next"]:
                return
            page = self._page(page["next"], name)

    def _item(self, item: dict[str, Any]) -> dict[str, Any]:
        place = "shorts/" if item["tab"] == "shorts" else "watch?v="
        result: dict[str, Any] = self.url_result(
            f"https://www.youtube.com/{place}{item['id']}",
            ie=YoutubeIE.ie_key(),
            video_id=item["id"],
            video_title=item["title"],
            duration=item["duration"],
            timestamp=item["at"] if self._configuration_arg("approximate_date", ie_key=YoutubeTabIE) else None,
            live_status=item["live_status"],
            availability=item["availability"],
        )
        return result

    def _video(self, video: str, title: str | None) -> dict[str, Any]:
        known = {"duration": 10, "channel": "Test Channel", "uploader": "Test Channel"} if title else {}
        address = f"https://www.youtube.com/watch?v={video}"
        result: dict[str, Any] = self.url_result(address, ie=YoutubeIE.ie_key(), video_id=video, video_title=title, **known)
        return result


def _formats(video: str) -> list[dict[str, Any]]:
    sound = {"TRK3M": {"140": "track3min.m4a"}, "CHIRP": {"140": "chirp.m4a"}}.get(video[:5], {"251": "song.webm", "140": "song.m4a"})
    formats = [
        {
            **_file(video, name),
            "format_id": number,
            "acodec": codec,
            "vcodec": "none",
            "abr": 128,
            "asr": 44100,
            "container": f"{kind}_dash",
        }
        for number, name in sound.items()
        for codec, kind in [("opus", "webm") if name.endswith("webm") else ("mp4a.40.2", "m4a")]
    ]
    formats += [
        {
            **_file(video, f"v{height}.mp4"),
            "format_id": f"v{height}",
            "width": height * 16 // 9 // 2 * 2,
            "height": height,
            "fps": 5,
            "vcodec": "avc1.42c01e",
            "acodec": "none",
            "container": "mp4_dash",
        }
        for height in _HEIGHTS
    ]
    both = {"width": 640, "height": 360, "fps": 25, "vcodec": "avc1.42c01e", "acodec": "mp4a.40.2"}
    return [*formats, {**_file(video, "clip.mp4"), "format_id": "18", **both}]


def _file(video: str, name: str) -> dict[str, Any]:
    """Where a format's file is, and how large it says it is."""
    before = "throttled/100/" if video.startswith("SLOW") else f"flaky/1/{video}/" if video.startswith("FLAKY") else ""
    size = 10**12 if video.startswith("HUGE") else SIZES.get(f"media/{name}")
    return {"url": f"{BASE}/{before}media/{name}", "ext": name.rpartition(".")[2], "filesize": size}
