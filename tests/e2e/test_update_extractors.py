"""`magpie update-extractors`, alone and beside a service that is at work."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.package_index import PackageIndex
from scraper.extractors import FreshExtractors
from tests.e2e.conftest import StartService
from tests.support.running import HANG, MAGPIE, MediaSiteProcess, Running, clean_environment, eventually, is_over

OWN = importlib.metadata.version("yt-dlp")
FRESH, FRESHER = "2030.1.1", "2030.1.2"
SLOW = "throttled/25/media/clip.mp4"
KNOWN_BY = {"yt_dlp/utils/networking.py": "std_headers['X-Extractors'] = 'fresh'"}
NO_IMPORT = {"yt_dlp/__init__.py": "raise ImportError('broken on purpose')"}
ONLY_FOR_SHOW = {"yt_dlp/__init__.py": "import os\nif '.smoke-' not in os.getcwd():\n    raise ImportError('broken on purpose')"}
"""Proves itself, and then does not start where it is needed."""


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with PackageIndex() as index:
        index.add_solver("0.8.0")
        yield index


def pip_settings(url: str) -> dict[str, str]:
    """With which pip knows no other index."""
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "1", "PIP_INDEX_URL": url}


def updated(directory: Path, url: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(directory, data_dir=str(directory / "data"), **settings)
    return subprocess.run(
        [str(MAGPIE), "update-extractors", *arguments], cwd=directory, env=environment | pip_settings(url),
        capture_output=True, text=True, timeout=HANG, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def beside(service: Running, index: PackageIndex, *arguments: str) -> subprocess.CompletedProcess[str]:
    return updated(service.directory, index.url, *arguments, **service.settings)


def used(service: Running) -> str:
    """The yt-dlp that the service says it works with."""
    told: str = requests.get(f"{service.url}/api/status", timeout=HANG).json()["extractors"]["yt-dlp"]
    return told


def askers(site: MediaSiteProcess, path: str) -> list[str]:
    """Which yt-dlp asked for this path, each time it was asked for."""
    log = requests.get(site.url("_log"), timeout=HANG).json()["requests"]
    return [asked["headers"].get("X-Extractors", "own") for asked in log if asked["path"] == f"/{path}"]


# --- without a service ------------------------------------------------------------------------------------------------


def test_the_newest_is_installed_and_told_as_json(index: PackageIndex, tmp_path: Path) -> None:
    index.add_ytdlp(FRESH)
    done = updated(tmp_path, index.url, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"before": OWN, "after": FRESH, "changed": True}), done.stderr
    again = updated(tmp_path, index.url, "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, {"before": FRESH, "after": FRESH, "changed": False}), again.stderr
    assert "the newest already" in again.stderr


def test_the_data_directory_that_it_makes_is_for_its_user_only(index: PackageIndex, tmp_path: Path) -> None:
    index.add_ytdlp(OWN)
    assert updated(tmp_path, index.url).returncode == 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_one_that_does_not_work_is_exit_status_1_and_one_sentence(index: PackageIndex, tmp_path: Path) -> None:
    index.add_ytdlp(FRESH, changed=NO_IMPORT)
    done = updated(tmp_path, index.url, "--json")
    (_, sentence) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence.startswith(f"yt-dlp {FRESH} does not work here, so the present one stays: ")
    assert not (tmp_path / "data" / "extractors" / "current").exists()


def test_without_an_index_it_is_exit_status_1_and_one_sentence(tmp_path: Path) -> None:
    done = updated(tmp_path, "http://127.0.0.1:9/simple/")
    assert (done.returncode, done.stderr.splitlines()[1:]) == (1, ["yt-dlp could not be fetched: the package index cannot be reached."])


def test_a_second_one_at_the_same_time_says_so(index: PackageIndex, tmp_path: Path) -> None:
    extractors = FreshExtractors(tmp_path / "data" / "extractors")
    with extractors.locked():
        done = updated(tmp_path, index.url)
    assert (done.returncode, done.stderr.splitlines()[1:]) == (1, ["Another update of the extractors is under way."])


# --- beside one -------------------------------------------------------------------------------------------------------


def test_a_service_takes_it_over_while_a_download_is_under_way(start: StartService, site: MediaSiteProcess, index: PackageIndex) -> None:
    service = start(workers="2")
    site.reset()
    index.add_ytdlp(FRESH, changed=KNOWN_BY)
    assert used(service) == OWN
    slow = service.accepted(site.url(SLOW), media_type="video")
    service.reached(slow, "downloading")
    done = beside(service, index)
    assert done.returncode == 0, done.stderr
    assert "The running service takes it over within seconds" in done.stderr
    eventually(lambda: used(service) == FRESH, "the service uses the new one")
    quick = service.post_auto_download(site.url("n/after.mp4"), media_type="video").json()
    assert quick["success"], quick
    assert service.job(slow)["status"] == "processing"
    assert service.ended(slow)["status"] == "completed"
    assert set(askers(site, "n/after.mp4")) == {"fresh"}
    assert set(askers(site, SLOW)) == {"own"}
    assert service.rows("select attempt from jobs") == [{"attempt": 1}] * 2
    assert [line for line in service.log_lines() if line["level"] in {"warning", "error"}] == []


def test_a_restart_goes_on_with_the_new_one(start: StartService, site: MediaSiteProcess, index: PackageIndex) -> None:
    service = start()
    index.add_ytdlp(FRESH, changed=KNOWN_BY)
    assert beside(service, index).returncode == 0
    service.restart()
    site.reset()
    assert service.post_auto_download(site.url("n/restarted.mp4"), media_type="video").json()["success"]
    assert set(askers(site, "n/restarted.mp4")) == {"fresh"}
    assert used(service) == FRESH


def test_one_that_does_not_start_in_the_service_gives_way_to_the_one_before(
    start: StartService, site: MediaSiteProcess, index: PackageIndex
) -> None:
    service = start()
    index.add_ytdlp(FRESH)
    assert beside(service, index).returncode == 0
    eventually(lambda: used(service) == FRESH, "the service uses the new one")
    index.add_ytdlp(FRESHER, changed=ONLY_FOR_SHOW)
    assert beside(service, index).returncode == 0
    current = service.data / "extractors" / "current"
    eventually(lambda: current.read_text().split()[0] == FRESH, "the service has put the one before back")
    assert service.post_auto_download(site.url("n/rolled-back.mp4"), media_type="video").json()["success"]
    assert used(service) == FRESH
    assert any(line["level"] == "error" and "does not start" in line["event"] for line in service.log_lines())


# --- by itself --------------------------------------------------------------------------------------------------------


@pytest.fixture
def start_weekly(start: StartService, index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StartService:
    """Services that look for an update as soon as they run, not minutes later, and know no other index."""
    program = tmp_path / "magpie"
    lines = [
        f"#!{sys.executable}",
        "import os",
        "from datetime import timedelta",
        "import magpie.extractors as extractors",
        "from magpie.__main__ import main",
        "extractors.AFTER_START, extractors.EVERY = timedelta(0), timedelta(milliseconds=100)",
        f"os.environ.update({pip_settings(index.url)!r})",
        "main()",
    ]
    program.write_text("\n".join(lines))
    program.chmod(0o700)
    monkeypatch.setattr("tests.support.running.MAGPIE", program)
    return lambda **settings: start(update_extractors="weekly", **settings)


def test_a_service_that_is_told_to_updates_once_a_week(start_weekly: StartService, index: PackageIndex) -> None:
    index.add_ytdlp(FRESH)
    service = start_weekly()
    eventually(lambda: used(service) == FRESH, "the service uses the new one")
    service.restart()
    eventually(lambda: used(service) == FRESH, "the service still uses it")
    assert index.asked.count("/simple/yt-dlp/") == 1
    (tried,) = service.data.glob("extractors/tried")
    week_ago = time.time() - 7 * 86400
    os.utime(tried, (week_ago, week_ago))
    eventually(lambda: index.asked.count("/simple/yt-dlp/") == 2, "it has looked for another one")


def test_a_service_that_is_not_told_to_leaves_the_extractors_alone(
    start_weekly: StartService, start: StartService, index: PackageIndex
) -> None:
    service = start()
    eventually(lambda: used(service) == OWN, "it runs")
    assert index.asked == []
    assert not (service.data / "extractors").exists()


def test_what_goes_wrong_is_a_warning_with_its_cause(start_weekly: StartService, index: PackageIndex) -> None:
    index.add_ytdlp(FRESH, changed=NO_IMPORT)
    service = start_weekly()
    eventually(lambda: "were not updated" in service.log_text(), "it has failed")
    (warning,) = [line for line in service.log_lines() if "were not updated" in line["event"]]
    assert (warning["level"], "ImportError: broken on purpose" in warning["event"]) == ("warning", True)


def test_a_stop_ends_an_update_that_is_under_way(start_weekly: StartService, index: PackageIndex) -> None:
    index.answers.clear()
    service = start_weekly()
    eventually(lambda: index.asked, "pip has asked the index")
    children = service.children()
    assert any("pip" in child.cmdline() for child in children)
    assert service.stop() == 0
    assert all(is_over(child) for child in children)
    assert {entry.name for entry in (service.data / "extractors").iterdir()} == {"lock", "tried"}
