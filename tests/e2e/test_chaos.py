"""Three hundred jobs of thirty sessions, a third cancelled at random moments, workers killed at random: everything adds up at the end."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin

import psutil
import requests

from tests.e2e.conftest import StartService
from tests.support.running import HANG, LIVE, MediaSiteProcess, Running, eventually, is_over

SESSIONS, JOBS_EACH = 30, 10
KILLS = 12
SEED = 20261121
PATIENCE = 240.0
"""Seconds. A guard against hanging, never a measure."""


class Crowd:
    """Clients of one service, each with a session of its own."""

    def __init__(self, service: Running, site: MediaSiteProcess) -> None:
        self.service, self.site = service, site
        self.random = random.Random(SEED)
        self.jobs: dict[str, str] = {}
        self.cancelled: dict[str, int] = {}

    def ask(self, number: int) -> None:
        """Open a session and ask for ten downloads in it, each somewhat slower than the one before."""
        with requests.Session() as http:
            session = http.post(f"{self.service.url}/api/sessions/", timeout=HANG).json()["session_uuid"]
            for job in range(JOBS_EACH):
                url = self.site.url(f"n/chaos{number}x{job}.mp4" if job % 3 else f"throttled/400/n/chaos{number}x{job}.mp4")
                answer = http.post(f"{self.service.url}/api/jobs/", json={"url": url}, headers={"X-Session-ID": session}, timeout=HANG)
                assert answer.status_code == 201, answer.text
                self.jobs[answer.json()["job_uuid"]] = session

    def cancel(self, job_id: str) -> None:
        """At some moment; it may have ended by then."""
        answer = requests.post(f"{self.service.url}/api/jobs/{job_id}/cancel", headers={"X-Session-ID": self.jobs[job_id]}, timeout=HANG)
        self.cancelled[job_id] = answer.status_code

    def kill_a_worker(self) -> None:
        if workers := self.service.workers():
            with contextlib.suppress(psutil.NoSuchProcess):
                self.random.choice(workers).kill()

    def all_jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        url: str | None = f"{self.service.url}/api/jobs/?limit=100"
        while url:
            answer = requests.get(url, timeout=HANG)
            found += answer.json()
            url = urljoin(url, answer.links["next"]["url"]) if "next" in answer.links else None
        return found


def test_after_a_storm_every_job_has_ended_and_the_counts_agree_with_the_disk(start: StartService, site: MediaSiteProcess) -> None:
    service = start(workers="4")
    crowd = Crowd(service, site)
    over = threading.Event()

    def storm() -> None:
        for _ in range(KILLS):
            if over.wait(crowd.random.uniform(0.2, 1.5)):
                return
            crowd.kill_a_worker()

    killing = threading.Thread(target=storm)
    killing.start()
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(crowd.ask, range(SESSIONS)))
        doomed = crowd.random.sample(sorted(crowd.jobs), len(crowd.jobs) // 3)
        for job_id in doomed:
            clients.submit(crowd.cancel, job_id)
            time.sleep(crowd.random.uniform(0, 0.05))
    over.set()
    killing.join()

    jobs = eventually(lambda: _ended(crowd), "every job has ended", within=PATIENCE)
    assert len(jobs) == len(crowd.jobs) == SESSIONS * JOBS_EACH
    assert {job["status"] for job in jobs} <= {"completed", "failed", "cancelled"}
    assert set(crowd.cancelled.values()) <= {200, 409}
    by_id = {job["job_uuid"]: job for job in jobs}
    assert all(by_id[job_id]["status"] == "cancelled" for job_id, status in crowd.cancelled.items() if status == 200)
    assert {job["code"] for job in jobs if job["status"] == "failed"} <= {"worker_died"}
    _adds_up(service, jobs)
    children = service.children()
    assert service.stop() == 0
    eventually(lambda: all(map(is_over, children)), "no process of the service is left")


def _ended(crowd: Crowd) -> list[dict[str, Any]]:
    jobs = crowd.all_jobs()
    return jobs if not [job for job in jobs if job["status"] in LIVE] else []


def _adds_up(service: Running, jobs: list[dict[str, Any]]) -> None:
    """What the API says, what the overview sums up, and what lies on the disk are the same; nothing temporary is left."""
    shown = {file["path"]: file["size"] for job in jobs for file in job["files"]}
    assert len(shown) == sum(job["status"] == "completed" for job in jobs)
    for path, size in shown.items():
        assert (service.data / "media" / path).stat().st_size == size
    stored = eventually(lambda: [*service.stored()] if len(service.stored()) == len(shown) else [], "files of cancelled jobs are gone")
    assert len(stored) == len(shown)
    overview = requests.get(f"{service.url}/api/sessions/stats/overview", timeout=HANG).json()
    counts = {
        name: sum(job["status"] == status for job in jobs) for name, status in (("completed_jobs", "completed"), ("failed_jobs", "failed"))
    }
    assert {**overview, **counts, "active_jobs": 0, "total_jobs": len(jobs)} == overview
    assert overview["storage_used_bytes"] == sum(shown.values())
    assert service.untidy() == []
