from __future__ import annotations

import errno

import pytest
from yt_dlp.networking.exceptions import IncompleteRead, TransportError
from yt_dlp.utils import ContentTooShortError, DownloadError, ExtractorError, GeoRestrictedError, PostProcessingError, UnsupportedError

from scraper.egress import EgressPolicy
from scraper.failures import JobFailed, cause_of, code_said, redacted
from scraper.guard import Guard


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Private video. Sign in if you've been granted access to this video", "private"),
        ("Sign in to confirm your age. This video may be inappropriate for some users.", "age_restricted"),
        ("Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser", "sign_in_needed"),
        ("The uploader has not made this video available in your country", "geo_blocked"),
        ("This video is not available from your location due to geo restriction", "geo_blocked"),
        ("Video unavailable. This video has been removed by the uploader", "no_such_video"),
        ("This live event will begin in 3 hours.", "live_stream"),
        ("Premieres in 2 hours", "live_stream"),
        ("Join this channel to get access to members-only content", "sign_in_needed"),
        ("You need to log in to access this content", "sign_in_needed"),
        ("Unable to download webpage: HTTP Error 403: Forbidden", "sign_in_needed"),
        ("HTTP Error 403: Forbidden", "network"),
        ("Unable to download webpage: HTTP Error 429: Too Many Requests", "throttled"),
        ("Requested format is not available. Use --list-formats", "format_unavailable"),
        ("[Errno 28] No space left on device", "no_space"),
        ("Unsupported URL: http://example.org", "unsupported"),
        ("Unable to download webpage: [Errno -2] Name or service not known", "network"),
        ("There is no video in this post", "pictures_unsupported"),
        ("No video could be found in this tweet", "pictures_unsupported"),
        ("No sources found for video abc. Maybe a plain image?", "pictures_unsupported"),
        ("No video found", None),
        ("Something new", None),
    ],
)
def test_words_become_causes(text: str, code: str | None) -> None:
    assert code_said(text) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (JobFailed("too_long"), "too_long"),
        (GeoRestrictedError("x"), "geo_blocked"),
        (ContentTooShortError(1, 2), "truncated"),
        (IncompleteRead(1, 2), "truncated"),
        (UnsupportedError("http://x"), "unsupported"),
        (OSError(errno.ENOSPC, "x"), "no_space"),
        (OSError(errno.EFBIG, "x"), "too_large"),
        (TransportError("x"), "network"),
        (PostProcessingError("x"), "ffmpeg"),
        (ExtractorError("x", expected=True), "unsupported"),
        (RuntimeError("x"), "download_failed"),
        (DownloadError("x", (ExtractorError, ExtractorError("y", cause=OSError(errno.ENOSPC, "x")), None)), "no_space"),
    ],
)
def test_kinds_become_causes(error: Exception, code: str) -> None:
    assert cause_of(error).code == code


def test_a_refused_address_is_the_cause_whatever_came_of_it() -> None:
    guard = Guard(EgressPolicy(), None, None)
    guard.refuse_address("10.0.0.1 port 80")
    assert cause_of(TransportError("timed out"), guard).code == "address_not_allowed"


def test_the_log_gets_no_query_and_no_login() -> None:
    said = redacted("failed: https://user:pass@host.example/path?token=secret#x and more" + "x" * 1000)
    assert "secret" not in said
    assert "pass" not in said
    assert "https://host.example/path" in said
    assert len(said) <= 600
