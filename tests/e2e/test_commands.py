"""The command line, as somebody types it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import psutil
import pytest
import requests

from tests.e2e.conftest import StartService
from tests.support.running import HANG, MAGPIE, MediaSiteProcess, Running, command, eventually, is_over, playable

Magpie = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def place(site: MediaSiteProcess, tmp_path: Path) -> Running:
    """A directory with settings, in which no service runs."""
    return Running.beside(site, tmp_path)


def magpie(place: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(place.directory, *arguments, **place.settings)


# --- download, alone --------------------------------------------------------------------------------------------------


def test_download_prints_where_the_file_is(place: Running, site: MediaSiteProcess) -> None:
    done = magpie(place, "download", site.url("n/alone.mp4"))
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    file = Path(done.stdout.strip())
    assert file == place.stored()[0]
    assert playable(file)
    assert place.untidy() == []


def test_download_copies_into_a_directory(place: Running) -> None:
    there = place.directory / "there"
    there.mkdir()
    done = magpie(place, "download", "https://youtu.be/intodirect1", "--format", "mp3", "--output", str(there))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in there.iterdir()] == ["Test video intodirect1.mp3"]
    assert playable(there / "Test video intodirect1.mp3")
    assert place.untidy() == []


def test_download_writes_to_the_named_file(place: Running) -> None:
    file = place.directory / "song.opus"
    done = magpie(place, "download", "https://youtu.be/intoafile01", "-t", "audio", "-f", "opus", "-q", "128k", "-o", str(file))
    assert done.returncode == 0, done.stderr
    assert playable(file)


def test_download_as_json_says_everything(place: Running) -> None:
    done = magpie(place, "download", "https://youtu.be/jsonjson001", "--media-type", "transcript", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["status"], told["title"], told["artist"], told["code"]) == ("completed", "Test video jsonjson001", "Test Channel", None)
    (file,) = told["files"]
    assert (file["kind"], Path(file["path"]).stat().st_size) == ("transcripts", file["size"])
    assert Path(file["path"]).suffix == ".vtt"


def test_a_download_that_cannot_be_ends_with_1_and_one_sentence(place: Running) -> None:
    done = magpie(place, "download", "https://youtu.be/PRIVATE0000")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("This video is private. (job ")


def test_a_failed_download_as_json_has_its_code(place: Running) -> None:
    done = magpie(place, "download", "https://youtu.be/GONE0000000", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["status"], told["code"], told["files"]) == ("failed", "no_such_video", [])


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x.mp4", "http://169.254.169.254/latest"])
def test_a_link_that_is_not_fetched_ends_with_1_and_one_line(place: Running, url: str) -> None:
    done = magpie(place, "download", url)
    assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (1, "", 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("download",),
        ("download", "https://youtu.be/x", "--loud"),
        ("download", "ftp://example.com/x"),
        ("download", "cats"),
        ("download", "https://youtu.be/x", "--format", "ogg"),
        ("download", "https://youtu.be/x", "--output", "no/such/place/x.mp4"),
        ("fetch",),
        ("run", "now"),
        ("--bogus",),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(place: Running, arguments: tuple[str, ...]) -> None:
    done = magpie(place, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout


def interrupted(place: Running, site: MediaSiteProcess) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A slow download that got a Ctrl-C when the first bytes were there, and the processes that it had."""
    running = subprocess.Popen(
        [str(MAGPIE), "download", site.url("throttled/50/media/clip.mp4")],
        cwd=place.directory, env=place.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    database = place.data / "magpie.db"
    eventually(lambda: database.exists() and _downloads(place), "it downloads")
    children = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGINT)
    running.wait(HANG)
    return running, children


def _downloads(place: Running) -> bool:
    if not place.rows("select name from sqlite_master where name = 'jobs'"):
        return False
    return bool(place.rows("select id from jobs where phase = 'downloading' and status = 'processing'"))


def test_ctrl_c_cancels_a_download_and_leaves_nothing(place: Running, site: MediaSiteProcess) -> None:
    running, children = interrupted(place, site)
    out, err = running.communicate()
    assert (running.returncode, out, err.strip().splitlines()[-1]) == (1, "", "Cancelled.")
    eventually(lambda: all(map(is_over, children)), "its processes are gone")
    assert [row["status"] for row in place.rows("select status from jobs")] == ["cancelled"]
    assert place.stored() == []
    assert place.untidy() == []


# --- download, beside a service ---------------------------------------------------------------------------------------


def test_beside_a_service_download_lets_it_do_the_work(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    done = magpie(service, "download", site.url("n/beside.mp4"), "--output", str(service.directory / "copy.mp4"))
    assert done.returncode == 0, done.stderr
    assert playable(service.directory / "copy.mp4")
    (job,) = service.rows("select id, origin, status from jobs")
    assert (job["origin"], job["status"]) == ("cli", "completed")
    assert [line["event"] for line in service.log_lines() if line.get("job_id") and line["event"] == "job completed"] == ["job completed"]
    assert service.untidy() == []


def test_beside_a_service_a_failed_download_ends_with_1(service: Running) -> None:
    done = magpie(service, "download", "https://youtu.be/GEO00000000", "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "geo_blocked")


def test_beside_a_service_ctrl_c_cancels_the_services_job(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    running, _ = interrupted(service, site)
    running.communicate()
    assert running.returncode == 1
    (job,) = service.rows("select id from jobs")
    assert service.ended(job["id"])["status"] == "cancelled"
    eventually(lambda: service.untidy() == [], "what it had fetched is gone")
    assert service.post_auto_download(site.url("n/afterwards.mp4"), media_type="video").status_code == 200


# --- the other commands -----------------------------------------------------------------------------------------------


def test_help_names_every_command(place: Running) -> None:
    done = magpie(place, "--help")
    assert done.returncode == 0
    for name in ("run", "download", "doctor"):
        assert re.search(rf"^\W*{name}\s", done.stdout, re.MULTILINE)
        assert magpie(place, name, "--help").returncode == 0


def test_version_is_one_number(place: Running) -> None:
    done = magpie(place, "--version")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_doctor_finds_everything_where_everything_is(place: Running) -> None:
    done = magpie(place, "doctor")
    assert done.returncode == 0, done.stdout
    assert "ffmpeg" in done.stdout
    assert "yt-dlp" in done.stdout


def test_doctor_as_json_has_a_verdict_on_each_thing(place: Running) -> None:
    done = magpie(place, "doctor", "--json")
    assert done.returncode == 0
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert {"Python", "yt-dlp", "ffmpeg", "data directory", "disk", "service"} <= set(findings)
    assert findings["service"]["found"] == "not running"
    assert all(finding["ok"] or finding["advice"] for finding in findings.values())


def test_doctor_sees_a_running_service(service: Running) -> None:
    findings = {finding["name"]: finding for finding in json.loads(magpie(service, "doctor", "--json").stdout)}
    assert findings["service"]["found"] == "running on this data directory"


def test_doctor_ends_with_1_when_nothing_could_be_downloaded(place: Running) -> None:
    done = command(place.directory, "doctor", "--json", **place.settings, min_free_disk="999999GB")
    assert done.returncode == 1
    (wrong,) = [finding for finding in json.loads(done.stdout) if not finding["ok"]]
    assert (wrong["name"], wrong["problem"]) == ("disk", "too little to download")


# --- sweep --------------------------------------------------------------------------------------------------------------


def test_a_dry_run_where_nothing_is_yet_makes_nothing(place: Running) -> None:
    done = magpie(place, "sweep", "--dry-run")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "magpie run" in done.stderr
    assert not place.data.exists()


def test_what_has_expired_is_shown_by_a_dry_run_and_goes_with_the_sweep(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    kept, gone = (service.accepted(site.url(f"n/{name}.mp4")) for name in ("kept", "gone"))
    for job_id in (kept, gone):
        assert service.ended(job_id)["status"] == "completed"
    with contextlib.closing(sqlite3.connect(service.data / "magpie.db", timeout=HANG)) as database, database:
        # As an anonymous caller of two days ago would have left it.
        database.execute(
            "update download_sessions set address = '203.0.113.5', owner_id = null, last_activity = replace(last_activity, '2026', '2025')"
            " where id = (select download_session_id from jobs where id = ?)",
            [UUID(gone).hex],
        )
    expected = {"sessions": 1, "jobs": 1}
    told = magpie(service, "sweep", "--dry-run", "--json")
    assert {name: value for name, value in json.loads(told.stdout).items() if value} == expected
    assert len(service.stored()) == 2
    done = magpie(service, "sweep")
    assert (done.returncode, done.stdout.splitlines()[0], done.stderr) == (0, "Gone:", "")
    assert [path.name for path in service.stored()] == ["kept.mp3"]
    assert magpie(service, "sweep").stdout == "Nothing to sweep.\n"
    assert requests.get(f"{service.url}/api/jobs/{gone}", timeout=HANG).status_code == 404
