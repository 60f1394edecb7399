"""Health, figures and log files of `magpie run` as its operators see them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from sandbox.bot_api import TOKEN
from tests.e2e.conftest import StartService
from tests.support.running import HANG, BotApiProcess, MediaSiteProcess, Running, eventually

FROM_OUTSIDE = {"X-Forwarded-For": "203.0.113.9"}
PASSWORD = "a long enough pass phrase"
PATHS = ["/metrics", "/api/metrics", "/api/status"]
CHECKS = {"database", "disk", "queue", "workers", "ffmpeg", "yt-dlp", "javascript", "telegram"}
SLOW = "throttled/50/media/clip.mp4"

Labels = tuple[tuple[str, str], ...]


def asked(service: Running, path: str, headers: dict[str, str] | None = None) -> requests.Response:
    return requests.get(service.url + path, headers=headers, timeout=HANG)


def scraped(service: Running) -> dict[str, dict[Labels, float]]:
    """By name and labels."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(asked(service, "/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def conditions(service: Running) -> dict[str, str]:
    return {check["name"]: check["status"] for check in asked(service, "/api/health").json()["checks"]}


# --- health -----------------------------------------------------------------------------------------------------------


def test_every_part_of_a_service_that_is_warm_is_healthy(service: Running) -> None:
    """yt-dlp's age aside: that is the calendar's."""
    eventually(lambda: conditions(service)["workers"] == "healthy", "the workers are warm")
    found = conditions(service)
    assert set(found) == CHECKS
    assert {name: state for name, state in found.items() if name != "yt-dlp" and state != "healthy"} == {}


def test_anybody_gets_names_and_states_and_no_cause(start: StartService) -> None:
    service = start(min_free_disk="999999GB")
    inside, outside = (asked(service, "/api/health", headers).json() for headers in ({}, FROM_OUTSIDE))
    causes = {check["name"]: check["cause"] for check in outside["checks"]}
    assert causes == dict.fromkeys(CHECKS)
    assert [check["name"] for check in inside["checks"] if check["cause"]] != []
    assert inside["status"] == outside["status"] == "unhealthy"


def test_without_telegram_the_service_is_degraded_and_takes_requests(start: StartService) -> None:
    service = start(bot_token=TOKEN, bot_api_url="http://127.0.0.1:9", admins="1")
    answer = asked(service, "/api/health")
    assert answer.status_code == 200
    assert conditions(service)["telegram"] == "degraded"
    assert asked(service, "/api/status").json()["telegram"] == "starting"
    assert scraped(service)["magpie_telegram_state"][("state", "starting"),] == 1


def test_a_token_that_telegram_refuses_is_in_the_figures(start: StartService, telegram: BotApiProcess) -> None:
    service = start(**telegram.settings | {"bot_token": "987654321:AAthis-is-nobodys-token-at-all-xxxx"})
    state: Labels = (("state", "refused"),)
    eventually(lambda: scraped(service)["magpie_telegram_state"][state] == 1, "Telegram has refused the token")
    assert "MAGPIE_BOT_TOKEN" in next(one["cause"] for one in asked(service, "/api/status").json()["checks"] if one["name"] == "telegram")


def test_calls_to_telegram_are_in_the_figures(start: StartService, telegram: BotApiProcess) -> None:
    service = start(**telegram.settings)
    eventually(lambda: asked(service, "/api/status").json()["telegram"] == "running", "the bot runs")
    calls = scraped(service)["magpie_telegram_calls_total"]
    assert calls[("group", "other"), ("outcome", "ok")] >= 1


# --- who may ----------------------------------------------------------------------------------------------------------


@dataclass
class People:
    service: Running
    superuser: dict[str, str]
    user: dict[str, str]

    def key(self, of: dict[str, str], scope: str) -> dict[str, str]:
        """A new API key of theirs, as a header."""
        made = requests.post(
            f"{self.service.url}/api/v1/users/me/api-keys/", headers=of, json={"name": scope, "scope": scope}, timeout=HANG
        )
        assert made.ok, made.text
        return {**FROM_OUTSIDE, "Authorization": f"Bearer {made.json()['key']}"}


@pytest.fixture(scope="module")
def people(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with Running.beside(site, tmp_path_factory.mktemp("people")) as service:
        logins = []
        for name in ("root", "ann"):
            about = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "is_superuser": name == "root"}
            assert requests.post(f"{service.url}/api/v1/users/", json=about, timeout=HANG).ok
            login = requests.post(
                f"{service.url}/api/v1/login/access-token", data={"username": name, "password": PASSWORD}, timeout=HANG
            ).json()
            logins.append({**FROM_OUTSIDE, "Authorization": f"Bearer {login['access_token']}"})
        yield People(service, *logins)


@pytest.mark.parametrize("path", PATHS)
def test_figures_are_given_to_superusers_and_to_their_keys_for_figures(people: People, path: str) -> None:
    given = {
        "nobody": FROM_OUTSIDE,
        "a user": people.user,
        "a user's key": people.key(people.user, "metrics"),
        "a superuser": people.superuser,
        "a superuser's key": people.key(people.superuser, "metrics"),
    }
    got = {who: asked(people.service, path, headers).status_code for who, headers in given.items()}
    assert got == {"nobody": 401, "a user": 403, "a user's key": 403, "a superuser": 200, "a superuser's key": 200}


def test_prometheus_gets_in_with_the_header_that_it_sends(people: People) -> None:
    answer = asked(
        people.service, "/metrics", people.key(people.superuser, "metrics") | {"Accept": "application/openmetrics-text;q=0.5,*/*"}
    )
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert list(text_string_to_metric_families(answer.text))


# --- figures ----------------------------------------------------------------------------------------------------------


def test_figures_tell_of_what_was_downloaded_and_what_failed(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    done = service.post_auto_download(site.url("n/counted.mp4"), media_type="video").json()
    assert done["success"], done
    assert not service.post_auto_download(site.url("login"), media_type="video").json()["success"]
    found = scraped(service)
    ended = found["magpie_jobs_ended_total"]
    assert ended[("cause", ""), ("kind", "video"), ("status", "completed")] == 1
    (failure,) = [labels for labels in ended if ("status", "failed") in labels]
    assert dict(failure)["cause"] == "sign_in_needed"
    (file,) = service.stored()
    assert found["magpie_jobs_stored_bytes_total"][("kind", "video"),] == file.stat().st_size
    assert found["magpie_http_requests_total"][("method", "POST"), ("route", "/audio_dl/api/auto-download"), ("status", "200")] == 1
    figures = asked(service, "/api/metrics").json()
    assert (figures["total_jobs"], figures["active_jobs"], figures["storage_used_bytes"]) == (2, 0, file.stat().st_size)
    assert figures["uptime_seconds"] > 0
    assert figures["requests"]["total"] >= 3


def test_figures_tell_of_what_is_under_way(start: StartService, site: MediaSiteProcess) -> None:
    service = start(workers="1")
    first, _ = (service.accepted(site.url(f"{SLOW}?{number}"), media_type="video") for number in range(2))
    service.reached(first, "downloading")
    found = scraped(service)
    assert (found["magpie_jobs_running"][()], found["magpie_jobs_queued"][()]) == (1, 1)
    assert found["magpie_queue_oldest_seconds"][()] > 0
    queue = asked(service, "/api/status").json()["queue"]
    assert (queue["running"], queue["queued"], queue["held"]) == (1, 1, 0)


def test_status_tells_what_it_runs_on(service: Running) -> None:
    status: dict[str, Any] = asked(service, "/api/status").json()
    assert status["database"] == "sqlite"
    assert status["engine"].startswith("DBOS ")
    assert all(status["versions"][name] for name in ("magpie", "python", "ffmpeg", "deno"))
    assert all(status["extractors"][name] for name in ("yt-dlp", "yt-dlp-ejs"))
    assert status["workers"]["width"] == 4


# --- log files --------------------------------------------------------------------------------------------------------


def test_a_service_with_a_log_directory_writes_there_what_it_writes_on_standard_error(start: StartService, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    service = start(log_dir=str(folder))
    asked(service, "/api/health?token=s3cr3t-t0k3n-value")
    assert service.stop() == 0
    written = [json.loads(line) for line in (folder / "app.log").read_text().splitlines()]
    assert [line["event"] for line in written] == [line["event"] for line in service.log_lines()]
    assert written[-1]["event"] == "stopped"
    assert (folder / "error.log").read_text() == ""
    assert "s3cr3t-t0k3n-value" not in (folder / "app.log").read_text()


def test_a_service_that_is_killed_goes_on_in_the_same_file(start: StartService, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    service = start(log_dir=str(folder))
    service.kill()
    service.start()
    service.stop(signal.SIGINT)
    assert [line["event"] for line in map(json.loads, (folder / "app.log").read_text().splitlines())].count("listening") == 2
