"""What bad requests and impossible downloads get: the messages that existing clients know, and nothing written for a 400."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from tests.support.running import AUTO_DOWNLOAD, HANG, MediaSiteProcess, Running

YOUTUBE = "https://www.youtube.com/watch?v=abcdefghijk"
NOT_JSON = ("Invalid JSON in request body", "invalid_json")
NO_URL = ("URL is required", "url_required")
NOT_YOUTUBE = ("Only YouTube URLs are supported", "host_not_allowed")


@pytest.fixture(scope="module")
def untouched(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that must have written nothing at the end, whatever it was asked."""
    with Running.beside(site, tmp_path_factory.mktemp("untouched")) as running:
        yield running
        assert_nothing_written(running)


@pytest.fixture(scope="module")
def untouched_open(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Likewise, and every host is welcome."""
    with Running.beside(site, tmp_path_factory.mktemp("untouched_open"), auto_download_hosts="*") as running:
        yield running
        assert_nothing_written(running)


def assert_nothing_written(service: Running) -> None:
    for table in ("jobs", "download_sessions", "media_files", "history_entries", "idempotency_keys", "workflow_status"):
        assert service.rows(f"select * from {table}") == [], table
    assert service.stored() == []
    assert service.leftovers() == []


def assert_refused(service: Running, body: bytes, status: int, error: str, code: str, *, content_type: str = "application/json") -> None:
    answer = requests.post(service.url + AUTO_DOWNLOAD, data=body, headers={"Content-Type": content_type}, timeout=HANG)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert (answer.status_code, answer.json()) == (status, {"success": False, "error": error, "code": code})
    assert_nothing_written(service)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"url=x", b"[]", b"null", b'"text"', b"7", b"\xff\xfe", b"[" * 50_000, b'{"url": "\xff"}'],
    ids=["empty", "cut", "form", "list", "null", "text", "number", "not UTF-8", "deep", "text not UTF-8"],
)  # fmt: skip
def test_what_is_no_json_object_is_refused_as_invalid_json(untouched: Running, body: bytes) -> None:
    assert_refused(untouched, body, 400, *NOT_JSON)


@pytest.mark.parametrize(
    "given", [{}, {"url": ""}, {"url": "  "}, {"url": None}, {"url": 7}, {"url": ["https://youtu.be/x"]}, {"URL": YOUTUBE}]
)
def test_without_a_url_the_message_says_that_it_is_required(untouched: Running, given: dict[str, object]) -> None:
    assert_refused(untouched, json.dumps(given).encode(), 400, *NO_URL)


@pytest.mark.parametrize(
    "url",
    [
        "https://vimeo.com/1", "https://youtube.com.evil.example/watch?v=abcdefghijk", "https://notyoutube.com/watch?v=abcdefghijk",
        "https://youtube.com@evil.example/", "https://evil.example/?u=youtube.com", "https://evil.example#youtube.com",
        "ftp://youtube.com/x", "file:///etc/passwd", "ytsearch:cats", "youtube.com", "javascript:alert(1)", "http://[::1", "http://127.0.0.1/",
        "https://youtube.com\\@evil.example/", "https://youtube.com/watch?v=a#__youtubedl_smuggle=1", "x" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_on_youtube_is_refused_with_the_known_message(untouched: Running, url: str) -> None:
    assert_refused(untouched, json.dumps({"url": url}).encode(), 400, *NOT_YOUTUBE)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"format": "ogg"}, "format must be one of: mp3, wav, flac, m4a, opus"),
        ({"format": "mp4"}, "format must be one of: mp3, wav, flac, m4a, opus"),
        ({"media_type": "video", "format": "mp3"}, "format must be one of: mp4, webm, mkv"),
        ({"quality": "loud"}, "quality must be one of: best, worst, 128k, 192k, 320k"),
        ({"media_type": "video", "quality": "128k"}, "quality must be one of: best, 2160, 1440, 1080, 720, 480, 360, worst"),
        ({"media_type": "transcript"}, "media_type must be one of: audio, video"),
        ({"media_type": "film"}, "media_type must be one of: audio, video"),
        ({"format": 3}, "format must be a text of at most 40 characters"),
        ({"username": ["a"]}, "username must be a text of at most 64 characters"),
        ({"username": "x" * 65}, "username must be a text of at most 64 characters"),
        ({"wait": "no"}, "wait must be true or false"),
        ({"refresh": 1}, "refresh must be true or false"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_accepted(untouched: Running, given: dict[str, object], error: str) -> None:
    assert_refused(untouched, json.dumps({"url": YOUTUBE, **given}).encode(), 400, error, "invalid_field")


def test_a_body_that_is_too_large_is_refused_unread(untouched: Running) -> None:
    assert_refused(
        untouched, json.dumps({"url": YOUTUBE, "x": "y" * 70_000}).encode(), 413, "The request body is too large", "body_too_large"
    )


def test_another_content_type_is_refused(untouched: Running) -> None:
    body = json.dumps({"url": YOUTUBE}).encode()
    message = "The Content-Type must be application/json"
    assert_refused(untouched, body, 415, message, "unsupported_media_type", content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_of_the_wrong_length_is_refused(untouched: Running, key: str) -> None:
    answer = untouched.post_auto_download(YOUTUBE, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_field")
    assert_nothing_written(untouched)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.2", "localhost", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]",
        "[fd00::1]", "[64:ff9b::7f00:1]", "2130706433", "0x7f.1", "017700000001", "localhost.",
    ],
)  # fmt: skip
def test_a_private_address_is_refused_before_there_is_a_job(untouched_open: Running, host: str) -> None:
    answer = untouched_open.post_auto_download(f"http://{host}:9/x.mp4")
    assert (answer.status_code, answer.json()["success"], answer.json()["code"]) == (400, False, "address_not_allowed"), answer.text
    assert_nothing_written(untouched_open)


@pytest.mark.parametrize("url", ["ftp://example.com/x", "file:///etc/passwd", "ytsearch:cats", "http://", "http://a b/"])
def test_what_is_no_web_address_is_refused_where_every_host_is_welcome(untouched_open: Running, url: str) -> None:
    answer = untouched_open.post_auto_download(url)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_url")
    assert_nothing_written(untouched_open)


@pytest.mark.parametrize(
    ("video", "code"),
    [
        ("PRIVATE", "private"), ("AGE", "age_restricted"), ("GEO", "geo_blocked"), ("GONE", "no_such_video"), ("BOT", "sign_in_needed"),
        ("LIVE", "live_stream"), ("HUGE", "too_large"), ("LONG", "too_long"),
    ],
)  # fmt: skip
def test_a_download_that_cannot_be_says_why_in_one_sentence(service: Running, video: str, code: str) -> None:
    answer = service.post_auto_download(f"https://www.youtube.com/watch?v={video:x<11}")
    said = answer.json()
    assert (answer.status_code, said["success"], said["code"]) == (500, False, code), said
    assert said["error"].endswith(".")
    assert "\n" not in said["error"]
    assert requests.get(said["status_url"], timeout=HANG).json()["code"] == code
    job = service.job(said["job_id"])
    assert (job["status"], job["files"]) == ("failed", [])
    assert service.untidy() == []
