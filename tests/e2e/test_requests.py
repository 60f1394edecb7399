"""Requests that break off, come twice, or do not want to wait; and the stored files over HTTP."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.e2e.conftest import StartService
from tests.support.running import AUTO_DOWNLOAD, HANG, MediaSiteProcess, Running, eventually

SLOW = "throttled/400/media/clip.mp4"


def test_a_client_that_disconnects_does_not_lose_its_job(open_service: Running, site: MediaSiteProcess) -> None:
    url = site.url(f"{SLOW}?disconnected")
    body = json.dumps({"url": url, "media_type": "video"}).encode()
    head = f"POST {AUTO_DOWNLOAD} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", open_service.port), timeout=HANG) as client:
        client.sendall(head.encode() + body)
        eventually(lambda: open_service.rows("select id from jobs where url = ? and phase = 'downloading'", url), "it downloads")
    (job,) = open_service.rows("select id from jobs where url = ?", url)
    assert open_service.ended(job["id"])["status"] == "completed"
    again = open_service.post_auto_download(url, media_type="video").json()
    assert requests.get(again["download_url"], timeout=HANG).status_code == 200


def test_the_same_key_and_body_at_the_same_time_are_one_job(open_service: Running, site: MediaSiteProcess) -> None:
    url = site.url("n/idempotent.mp4")
    with ThreadPoolExecutor(6) as threads:
        key = {"Idempotency-Key": "one"}
        futures = [threads.submit(open_service.post_auto_download, url, headers=key, media_type="video") for _ in range(6)]
    answers = [future.result().json() for future in futures]
    assert [answer["success"] for answer in answers] == [True] * 6
    assert len({answer["job_id"] for answer in answers}) == 1
    assert len(open_service.rows("select id from jobs where url = ?", url)) == 1


def test_the_same_key_with_another_body_is_a_conflict(open_service: Running, site: MediaSiteProcess) -> None:
    key = {"Idempotency-Key": "two"}
    assert open_service.post_auto_download(site.url("n/first.mp4"), headers=key, wait=False).status_code == 202
    answer = open_service.post_auto_download(site.url("n/second.mp4"), headers=key, wait=False)
    assert answer.status_code == 409
    said = {"success": False, "error": "This Idempotency-Key was used with another request.", "code": "idempotency_conflict"}
    assert answer.json() == said
    assert open_service.rows("select id from jobs where url = ?", site.url("n/second.mp4")) == []


def test_without_a_key_every_request_has_its_own_job_and_the_media_is_fetched_once(open_service: Running, site: MediaSiteProcess) -> None:
    url = site.url(f"{SLOW}?shared")
    answers = [answer.json() for answer in open_service.at_once(*[url] * 4, media_type="video")]
    assert len({answer["job_id"] for answer in answers}) == 4
    files = [path for path in open_service.stored() if path.parent.parent.name in {answer["job_id"] for answer in answers}]
    assert len(files) == 4
    assert len({path.stat().st_ino for path in files}) == 1


@pytest.mark.parametrize("way", ["wait", "prefer"])
def test_who_does_not_want_to_wait_gets_a_signed_address_of_the_status(open_service: Running, site: MediaSiteProcess, way: str) -> None:
    url = site.url(f"n/at-once-{way}.mp4")
    asked = {"wait": False} if way == "wait" else {}
    answer = open_service.post_auto_download(url, headers={"Prefer": "respond-async"} if way == "prefer" else {}, **asked)
    assert answer.status_code == 202
    accepted = answer.json()
    assert accepted["success"] is True
    stranger = {"X-Forwarded-For": "203.0.113.9"}

    def finished() -> dict[str, object] | None:
        job = requests.get(accepted["status_url"], headers=stranger, timeout=HANG).json()
        return job if job["status"] == "completed" else None

    job = eventually(finished, "completed") or {}
    assert job["job_uuid"] == accepted["job_id"]
    assert requests.get(str(job["download_url"]), headers=stranger, timeout=HANG).status_code == 200


def test_every_path_answers_with_and_without_its_slash(open_service: Running) -> None:
    for path in (AUTO_DOWNLOAD, AUTO_DOWNLOAD.rstrip("/")):
        answer = requests.post(open_service.url + path, json={}, timeout=HANG, allow_redirects=False)
        assert (answer.status_code, answer.json()["error"]) == (400, "URL is required")


def test_it_listens_on_both_loopbacks(open_service: Running) -> None:
    for host in ("127.0.0.1", "[::1]", "localhost"):
        assert requests.get(f"http://{host}:{open_service.port}/api/health", timeout=HANG).json()["state"] == "ready"


class TestAStoredFile:
    @pytest.fixture(scope="class")
    @staticmethod
    def url(open_service: Running, site: MediaSiteProcess) -> str:
        return str(open_service.post_auto_download(site.url("n/stored.mp4"), media_type="video").json()["download_url"])

    def test_comes_in_ranges_that_join_to_the_whole(self, url: str) -> None:
        whole = requests.get(url, timeout=HANG)
        parts = [requests.get(url, headers={"Range": f"bytes={span}"}, timeout=HANG) for span in ("0-99", "100-", "-10")]
        assert [part.status_code for part in parts] == [206] * 3
        assert parts[0].content + parts[1].content == whole.content
        assert parts[2].content == whole.content[-10:]
        assert requests.get(url, headers={"Range": "bytes=999999999-"}, timeout=HANG).status_code == 416

    def test_is_not_sent_again_to_who_has_it(self, url: str) -> None:
        etag = requests.head(url, timeout=HANG).headers["ETag"]
        again = requests.get(url, headers={"If-None-Match": etag}, timeout=HANG)
        assert (again.status_code, again.content) == (304, b"")

    def test_is_an_attachment_that_no_browser_runs(self, url: str) -> None:
        headers = requests.head(url, timeout=HANG).headers
        assert headers["Content-Disposition"].startswith("attachment;")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]

    @pytest.mark.parametrize("change", [("s=", "s=A"), ("e=", "e=9"), (".mp4?", ".mp3?"), ("&s=", "&t=")])
    def test_is_not_for_who_changes_the_link(self, url: str, change: tuple[str, str]) -> None:
        assert change[0] in url
        assert requests.get(url.replace(*change), headers={"Via": "1.1 x"}, timeout=HANG).status_code == 403

    def test_without_the_signature_is_for_local_callers_only(self, url: str) -> None:
        bare = url.partition("?")[0]
        assert requests.get(bare, timeout=HANG).status_code == 200
        assert requests.get(bare, headers={"X-Forwarded-For": "203.0.113.9"}, timeout=HANG).status_code == 401


def test_a_link_expires(start: StartService, site: MediaSiteProcess) -> None:
    service = start(link_ttl="1s")
    url = service.post_auto_download(site.url("n/short-lived.mp4"), media_type="video").json()["download_url"]

    def ask() -> requests.Response:
        return requests.get(url, headers={"Via": "1.1 x"}, timeout=HANG)

    eventually(lambda: ask().status_code == 403, "the link has expired")
    assert ask().json()["code"] == "link_expired"


def test_links_are_still_good_after_a_restart(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    url = service.post_auto_download(site.url("n/kept.mp4"), media_type="video").json()["download_url"]
    service.restart()
    assert requests.get(url, headers={"Via": "1.1 x"}, timeout=HANG).status_code == 200


def test_a_store_hit_asks_the_site_for_nothing(service: Running, site: MediaSiteProcess) -> None:
    url = "https://www.youtube.com/watch?v=storehit001"
    assert service.post_auto_download(url).json()["success"] is True
    site.reset()
    again = service.post_auto_download("https://youtu.be/storehit001").json()
    assert again["success"] is True
    assert site.asked() == []
    assert service.job(again["job_id"])["started_at"] is None, "it never even entered the queue"
    assert requests.get(again["download_url"], timeout=HANG).status_code == 200
