"""Why a job failed: the errors of yt-dlp, of the network and of ffmpeg, turned into the codes of `service.errors`.

yt-dlp has one error class for most things and says the rest in words, so words are what is looked at. They are the sites' own and change;
what is not recognised falls back to its kind (network, unsupported, general), never to a wrong cause.
"""

from __future__ import annotations

import errno
import re

from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, RequestError
from yt_dlp.utils import ContentTooShortError, DownloadError, ExtractorError, GeoRestrictedError, PostProcessingError, UnsupportedError

from scraper.guard import Guard

MAX_DETAIL = 600


class JobFailed(Exception):
    """A job ended with one of the codes of `service.errors`. `detail` is for the log only."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


# The first that matches decides: the order is from the particular to the general.
_WORDS: tuple[tuple[str, str], ...] = (
    ("address_not_allowed", r"no connection adapters|unsupported url scheme|file:// URLs are disabled"),
    ("age_restricted", r"confirm your age|age.?restricted|age.?gate|inappropriate for some users|only available to (adults|users over)"),
    ("sign_in_needed", r"confirm you.{0,3}re not a bot"),
    ("live_stream", r"live event|premieres? in|will begin in a few moments|is (currently )?live(stream)?\b|livestream"),
    ("private", r"private video|(video|post|account|clip) is private|made private|private account"),
    ("geo_blocked", r"(available|allowed|blocked|playable) (in|from|for) your (country|region|location)|geo.?(restrict|block)"),
    ("sign_in_needed", r"sign.?in|log.?in\b|--cookies|members.only|join this channel|subscri(ber|ption)|registered users"),
    ("sign_in_needed", r"requires? (authentication|payment|purchase)|account credentials|HTTP Error 401|Music Premium"),
    ("no_subtitles", r"no subtitles"),
    ("pictures_unsupported", r"no video (could be found )?in this (post|tweet)|not a video or animated image|maybe a plain image"),
    ("format_unavailable", r"requested format is not available|requested merging"),
    ("throttled", r"HTTP Error 429|too many requests|rate.?limit"),
    ("no_such_video", r"video unavailable|HTTP Error (404|410)|account[^.]{0,40}terminated|copyright"),
    ("no_such_video", r"(video|post|page|clip|content|media)[^.]{0,40}(removed|deleted|does ?n.t exist|not exist|no longer available)"),
    ("no_such_video", r"(video|post|page|clip|content|media)[^.]{0,40}(not be found|not found|terminated)"),
    ("geo_blocked", r"HTTP Error 451"),
    ("no_space", r"no space left|disk quota exceeded"),
    ("too_large", r"file too large"),
    ("truncated", r"content too short|bytes read, \d+ more expected|incomplete ?read|did not get any data blocks"),
    ("unsupported", r"unsupported url|no video formats found|unable to extract|\bdrm\b|is not a valid url|no media found"),
    ("unsupported", r"no video could be found|unsupported scheme|unusual extension|is not supported"),
    # While a page is looked at it means "not you"; of a medium's address it mostly means that it has expired.
    ("sign_in_needed", r"unable to download \w+: HTTP Error 403"),
    ("network", r"HTTP Error (403|5\d\d|408)|timed? ?out|connection|name or service not known|failed to resolve|unreachable"),
    ("network", r"certificate|\bssl\b|unable to download|remote end closed"),
)
_SAID = tuple((code, re.compile(words, re.IGNORECASE)) for code, words in _WORDS)
_ADDRESS = re.compile(r"(https?://[^\s?#'\"]+)[?#][^\s'\"]*")
_USERINFO = re.compile(r"(https?://)[^\s/@]+@")
_STATUS_CODES = {401: "sign_in_needed", 404: "no_such_video", 408: "network", 410: "no_such_video", 429: "throttled", 451: "geo_blocked"}


def redacted(text: str) -> str:
    """For the log: without the queries and logins of addresses, which may be credentials, and not longer than 600 characters."""
    return _USERINFO.sub(r"\1", _ADDRESS.sub(r"\1?…", text))[:MAX_DETAIL]


def cause_of(error: BaseException, guard: Guard | None = None) -> JobFailed:
    """The failure that an exception from anywhere in a job stands for."""
    detail = redacted(f"{type(error).__name__}: {error}")
    if guard is not None and guard.refused_address is not None:
        return JobFailed("address_not_allowed", f"{redacted(guard.refused_address)} ({detail})")
    for inner in _chain(error):
        code = _by_type(inner)
        if code is not None:
            return JobFailed(code, inner.detail if isinstance(inner, JobFailed) else detail)
    return JobFailed(code_said(str(error)) or _by_kind(error), detail)


def code_said(text: str) -> str | None:
    """The code that a message's words stand for, or None."""
    return next((code for code, words in _SAID if words.search(text)), None)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it carries inside, outermost first: yt-dlp wraps in `cause` and `exc_info`, Python in `__cause__`."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or any(one is other for other in found):
            continue
        found.append(one)
        information = getattr(one, "exc_info", None)
        waiting += [getattr(one, "cause", None), information[1] if information else None, one.__cause__]
    return [one for one in found if isinstance(one, BaseException)]


def _by_type(error: BaseException) -> str | None:
    """What the type alone tells, before any words: failures of our own, of the disk, of the country."""
    match error:
        case JobFailed():
            code: str | None = error.code
        case GeoRestrictedError():
            code = "geo_blocked"
        case ContentTooShortError() | IncompleteRead():
            code = "truncated"
        case UnsupportedError():
            code = "unsupported"
        case HTTPError():
            code = _STATUS_CODES.get(error.status)
        case OSError():
            code = {errno.ENOSPC: "no_space", errno.EDQUOT: "no_space", errno.EFBIG: "too_large"}.get(error.errno or 0)
        case _:
            code = None
    return code


def _by_kind(error: BaseException) -> str:
    """The last resort, for words that nobody knows."""
    kinds = _chain(error)
    if any(isinstance(one, PostProcessingError) for one in kinds):
        return "ffmpeg"
    if any(isinstance(one, RequestError) for one in kinds):
        return "network"
    if any(isinstance(one, (ExtractorError, UnsupportedError)) for one in kinds):
        return "unsupported" if not any(isinstance(one, DownloadError) for one in kinds) else "download_failed"
    return "download_failed"
