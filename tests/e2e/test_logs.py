"""The log after a session of requests: one JSON object a line, a job id where there is a job, a secret nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.support.running import HANG, MediaSiteProcess, Running, eventually

SECRETS = ("hunter2hunter2", "sessionid=verysecret", "mgp_abcdefghijklmnop", "eyJhbGciOiJub25lIn0", "s3cr3t-t0k3n-value")


@pytest.fixture(scope="module")
def talked(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list[str]]]:
    """A service that has ended after all kinds of requests, and the signatures that were used."""
    with Running.beside(site, tmp_path_factory.mktemp("talked"), auto_download_hosts="*") as service:
        signatures = list(_talk(service, site))
        assert service.stop() == 0
        yield service, signatures


def _talk(service: Running, site: MediaSiteProcess) -> Iterator[str]:
    secret_url = site.url("n/secret.mp4?token=s3cr3t-t0k3n-value").replace("http://", "http://user:hunter2hunter2@")
    for url in (
        site.url("n/plain.mp4"),
        secret_url,
        site.url("redirect?to=http://127.0.0.2:9/x?token=s3cr3t-t0k3n-value"),
        site.url("page/empty"),
        site.url("login"),
    ):
        answer = service.post_auto_download(url, media_type="video").json()
        for link in filter(None, (answer.get("download_url"), answer.get("status_url"))):
            requests.get(link, headers={"Via": "1.1 x", "Cookie": "sessionid=verysecret"}, timeout=HANG)
            yield parse_qs(urlsplit(link).query)["s"][0]
    for headers in (
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0"},
        {"X-API-Key": "mgp_abcdefghijklmnop"},
        {"Cookie": "sessionid=verysecret"},
    ):
        service.post_auto_download(site.url("n/plain.mp4"), headers=headers)
    requests.get(f"{service.url}/nowhere?api_key=s3cr3t-t0k3n-value", timeout=HANG)
    requests.post(f"{service.url}/audio_dl/api/auto-download/", data="{", headers={"Content-Type": "application/json"}, timeout=HANG)
    service.post_auto_download("http://user:hunter2hunter2@127.0.0.1:9/x?token=s3cr3t-t0k3n-value")
    job = service.accepted(site.url("throttled/100/media/clip.mp4?key=s3cr3t-t0k3n-value"), media_type="video")
    service.reached(job, "downloading")
    for worker in service.workers():
        worker.kill()
    eventually(lambda: "fetch failed, trying again" in service.log_text(), "it begins again")


Talked = tuple[Running, list[str]]


def test_every_line_is_a_json_object_with_time_level_and_event(talked: Talked) -> None:
    lines = talked[0].log_lines()
    assert len(lines) > 20
    assert all({"timestamp", "level", "event", "logger"} <= set(line) for line in lines)


def test_no_line_holds_a_secret(talked: Talked) -> None:
    service, signatures = talked
    text = service.log_text()
    assert len(signatures) == 5
    keys = (service.data / "secret.key").read_text().split()
    for secret in (*SECRETS, *signatures, *keys):
        assert secret not in text
    assert not re.search(r"://[^/\s\"*]+:[^/\s\"]+@", text)


def test_no_secret_is_in_the_database_in_the_clear_but_the_address_that_was_asked_for(talked: Talked) -> None:
    service, signatures = talked
    raw = b"".join(path.read_bytes() for path in service.data.glob("magpie.db*"))
    for secret in (*SECRETS[1:4], *signatures):
        assert secret.encode() not in raw


def test_every_line_about_a_job_has_its_id(talked: Talked) -> None:
    service, _ = talked
    jobs = {row["id"] for row in service.rows("select id from jobs")}
    of_jobs = {"magpie.downloads", "magpie.scraper"}
    about = [line for line in service.log_lines() if line["logger"] in of_jobs or line["event"].startswith("job ")]
    assert len(about) >= 2 * len(jobs)
    assert {line["event"]: line for line in about if line.get("job_id", "").replace("-", "") not in jobs} == {}


def test_the_worst_level_is_a_warning(talked: Talked) -> None:
    """Nothing that the outside did is an error of ours."""
    assert [line for line in talked[0].log_lines() if line["level"] in {"error", "critical"}] == []


def test_only_the_services_user_may_look_into_the_data(talked: Talked) -> None:
    service, _ = talked
    assert service.data.stat().st_mode & 0o077 == 0
    assert (service.data / "secret.key").stat().st_mode & 0o077 == 0
