"""How the service stops, and when it does not even start."""

from __future__ import annotations

import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import StartService
from tests.support.running import HANG, MediaSiteProcess, Running, command, eventually, free_port, is_over

SLOW = "throttled/50/media/clip.mp4"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_stop_while_jobs_run_answers_who_waits_and_loses_nothing(
    start: StartService, site: MediaSiteProcess, number: signal.Signals
) -> None:
    service = start()
    with ThreadPoolExecutor(2) as threads:
        urls = [site.url(f"{SLOW}?{n}") for n in range(2)]
        waiting: list[Future[requests.Response]] = [threads.submit(service.post_auto_download, url, media_type="video") for url in urls]
        eventually(lambda: len(service.rows("select id from jobs where phase = 'downloading'")) == 2, "both download")
        children, began = service.children(), time.monotonic()
        assert service.stop(number) == 0
        assert time.monotonic() - began < 15
        answers = [future.result(HANG) for future in waiting]
    assert all(map(is_over, children))
    told = {(answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) for answer in answers}
    assert told == {(503, "stopping", "5")}
    assert {row["status"] for row in service.rows("select status from jobs")} <= {"processing", "pending"}
    service.start()
    for answer in answers:
        assert service.ended(answer.json()["job_id"])["status"] == "completed"
        assert requests.get(answer.json()["status_url"], timeout=HANG).json()["status"] == "completed"
    assert len(service.stored()) == 2
    assert service.untidy() == []


def test_a_stop_with_nothing_to_do_is_clean(start: StartService) -> None:
    service = start()
    children = service.children()
    assert service.stop() == 0
    assert all(map(is_over, children))
    assert [line for line in service.log_lines() if line["level"] not in {"info", "debug"}] == []
    assert service.log_lines()[-1]["event"] == "stopped"


def test_a_second_service_on_the_same_data_is_refused_in_one_line(service: Running) -> None:
    second = command(service.directory, "run", port=str(free_port()))
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr.splitlines() == [f"Another Magpie is already running on {service.data}."]
    assert service.post_auto_download("https://youtu.be/afterwards1").status_code == 200


def test_a_port_that_is_taken_stops_the_start_in_one_line(service: Running, tmp_path: Path) -> None:
    second = command(tmp_path, "run", port=str(service.port), log_format="json")
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert line.startswith("Magpie cannot start: ")
    assert str(service.port) in line or "in use" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "eighty"), ("port", "70000"), ("link_ttl", "soon"), ("link_ttl", "0"), ("max_file_size", "huge"),
        ("trust_local", "perhaps"), ("workers", "0"), ("database_url", "mysql://x"), ("media_url", "ftp://x"),
        ("public_url", "magpie.example"), ("egress_allow", "example.com"), ("trusted_proxies", "all"),
        ("auto_download_hosts", "https://youtube.com"), ("secret_keys", "short"), ("log_format", "xml"),
        ("database_url", "postgresql://user:password@127.0.0.1/name"),
    ],
)  # fmt: skip
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    refused = command(tmp_path, "run", **{"port": str(free_port()), name: value})
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    named = "MAGPIE_SECRET_KEYS" if value.startswith("postgresql:") else f"MAGPIE_{name.upper()}"
    assert named in line


def test_a_wrong_setting_in_the_env_file_is_named_as_well(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAGPIE_WORKERS=many\n")
    refused = command(tmp_path, "run", port=str(free_port()))
    assert refused.returncode == 1
    assert [line.partition(":")[0] for line in refused.stderr.splitlines()] == ["MAGPIE_WORKERS"]


def test_a_misspelt_setting_is_warned_of(start: StartService) -> None:
    service = start(prot="8000")
    assert [line["event"] for line in service.log_lines() if line["level"] == "warning"] == ["unknown setting MAGPIE_PROT is ignored"]


def test_a_download_that_ends_within_the_limit_is_not_begun_again(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(service.post_auto_download, site.url("throttled/400/media/clip.mp4?ends"), media_type="video")
        eventually(lambda: service.rows("select id from jobs where phase = 'downloading'"), "it downloads")
        assert service.stop() == 0
        assert waiting.result(HANG).status_code == 200
    (row,) = service.rows("select status, starts from jobs")
    assert row == {"status": "completed", "starts": 1}
    assert service.log_lines()[-1]["jobs_to_resume"] == 0


def test_who_asks_while_it_stops_is_told_when_to_come_again(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    job_id = service.accepted(site.url("throttled/20/media/clip.mp4?busy"), media_type="video")
    service.reached(job_id, "downloading")
    service.send()
    eventually(lambda: _asked(service).status_code == 503, "it refuses")
    asked = _asked(service)
    assert asked.json()["code"] == "stopping"
    assert int(asked.headers["Retry-After"]) > 0
    simple = requests.get(f"{service.url}/api/health/simple", timeout=HANG)
    assert (simple.status_code, simple.json()["status"]) == (503, "stopping")
    service.end()
    assert len(service.rows("select id from jobs")) == 1


def _asked(service: Running) -> requests.Response:
    return requests.get(f"{service.url}/api/jobs", timeout=HANG)


def test_a_second_signal_ends_it_at_once_and_the_job_goes_on_at_the_next_start(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    job_id = service.accepted(site.url(f"{SLOW}?twice"), media_type="video")
    service.reached(job_id, "downloading")
    children = service.children()
    service.send()
    eventually(lambda: _asked(service).status_code == 503, "it stops")
    assert service.stop(signal.SIGTERM) == 1
    eventually(lambda: all(map(is_over, children)), "its processes are gone")
    service.start()
    assert service.ended(job_id)["status"] == "completed"
    assert service.untidy() == []
