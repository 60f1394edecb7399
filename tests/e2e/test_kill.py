"""`kill -9` of the service in every phase of a job: nothing survives it, and after the next start nothing is lost, doubled or half."""

from __future__ import annotations

import contextlib

import psutil
import pytest

from tests.e2e.conftest import StartService
from tests.support.running import MediaSiteProcess, Running, eventually, is_over, playable

SLOW = "throttled/200/media/clip.mp4"  # about five seconds


def assert_all_over(processes: list[psutil.Process]) -> None:
    try:
        eventually(lambda: all(map(is_over, processes)), "every process that the killed service had started is gone")
    finally:
        for survivor in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                survivor.kill()


def kill_while_all_stand_still(service: Running) -> list[psutil.Process]:
    """What stands still cannot end by itself, and notices nothing: only the kernel can take it along with the service."""
    for child in service.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            child.suspend()
    return service.kill()


def assert_all_completed_once(service: Running, job_ids: list[str]) -> None:
    for job_id in job_ids:
        job = service.ended(job_id)
        assert job["status"] == "completed", job
        (file,) = job["files"]
        path = service.data / "media" / file["path"]
        assert path.stat().st_size == file["size"]
        assert playable(path)
        entries = service.rows("select outcome from history_entries where job_id = ?", job_id.replace("-", ""))
        assert [entry["outcome"] for entry in entries] == ["success"]
    assert len(service.stored()) == len(job_ids)
    assert service.untidy() == []


def test_killed_while_jobs_are_pending_it_completes_them_all(start: StartService, site: MediaSiteProcess) -> None:
    service = start(workers="2")
    jobs = [service.accepted(site.url(f"{SLOW}?{n}"), media_type="video") for n in range(2)]
    jobs += [service.accepted(site.url(f"n/pending{n}.mp4"), media_type="video") for n in range(3)]
    eventually(lambda: [service.job(job)["status"] for job in jobs] == ["processing"] * 2 + ["pending"] * 3, "two run and three wait")
    assert_all_over(service.kill())
    assert [row["status"] for row in service.rows("select status from jobs order by created_at")][2:] == ["pending"] * 3
    service.start()
    assert_all_completed_once(service, jobs)


def test_killed_while_it_downloads_it_begins_again_and_completes(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    jobs = [service.accepted(site.url(f"{SLOW}?{n}"), media_type="video") for n in range(2)]
    for job in jobs:
        service.reached(job, "downloading")
    assert [path for path in service.leftovers() if path.is_file()], "half a file is there"
    assert_all_over(kill_while_all_stand_still(service))
    service.start()
    assert_all_completed_once(service, jobs)


def test_killed_while_ffmpeg_converts_it_leaves_no_ffmpeg_and_completes(start: StartService) -> None:
    service = start()
    job = service.accepted("https://www.youtube.com/watch?v=TRK3M000000", format="mp3")

    def converters() -> list[psutil.Process]:
        return [child for child in service.children() if "ffmpeg" in child.name()]

    service.reached(job, "converting")
    ffmpeg = eventually(converters, "ffmpeg runs")
    killed = kill_while_all_stand_still(service)
    assert set(ffmpeg) <= set(killed), "it still ran when the service was killed"
    assert_all_over(killed)
    service.start()
    assert_all_completed_once(service, [job])


def test_killed_again_and_again_it_still_completes(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    jobs = [service.accepted(site.url(f"{SLOW}?{n}"), media_type="video") for n in range(2)]
    for _ in range(3):
        service.reached(jobs[0], "downloading")
        assert_all_over(service.kill())
        service.start()
    assert_all_completed_once(service, jobs)


@pytest.mark.parametrize("which", ["worker", "zygote"])
def test_a_killed_download_process_is_replaced_and_its_job_completes(start: StartService, site: MediaSiteProcess, which: str) -> None:
    service = start()
    job = service.accepted(site.url(SLOW), media_type="video")
    service.reached(job, "downloading")
    (zygote,) = psutil.Process(service.pid).children()
    victims = zygote.children() if which == "worker" else [zygote]
    assert victims
    for victim in victims:
        victim.kill()
    assert_all_over(victims)
    assert_all_completed_once(service, [job])
    assert [line["code"] for line in service.log_lines() if line["event"] == "fetch failed, trying again"] == ["worker_died"]
