"""The media site and Magpie as processes of their own, and the bare commands."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

SCRIPTS = Path(sys.executable).parent
_numbers = itertools.count()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def media_site(directory: Path) -> Iterator[str]:
    """The address of a media site whose media is made already."""
    command = [sys.executable, "-m", "sandbox.media_site", "--directory", str(directory), "--prepare"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(10)


class Magpie:
    """A running `magpie run`."""

    def __init__(
        self, directory: Path, site: str, *, workers: int = 4, command: Sequence[str | Path] = (SCRIPTS / "magpie", "run")
    ) -> None:
        self.directory, self.port, self.command = directory, free_port(), [*command]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MAGPIE_")},
            "MAGPIE_DATA_DIR": str(directory),
            "MAGPIE_PORT": str(self.port),
            "MAGPIE_AUTO_DOWNLOAD_HOSTS": "*",
            "MAGPIE_EGRESS_ALLOW": site.removeprefix("http://"),
            "MAGPIE_WORKERS": str(workers),
            "MAGPIE_MIN_FREE_DISK": "100MB",
        }

    def start(self) -> float:
        """Seconds until it is ready to serve."""
        start = time.perf_counter()
        with (self.directory.parent / f"{self.directory.name}.log").open("wb") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)
        while time.perf_counter() - start < 60:
            try:
                if self.get("/api/health/simple")[0] == 200:
                    return time.perf_counter() - start
            except OSError:
                pass
            time.sleep(0.005)
        raise RuntimeError("magpie did not start")

    def warm(self) -> None:
        """Until the workers are heated."""
        for _ in range(600):
            checks = {check["name"]: check["status"] for check in self.get("/api/health")[1].get("checks", [])}
            if checks.get("workers") == "healthy":
                return
            time.sleep(0.1)
        raise RuntimeError(f"magpie did not get warm: {checks}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return self._ask("GET", path, None)

    def submit(self, url: str) -> str:
        """The id of the job. Raises `RuntimeError` when it is refused."""
        status, answer = self._ask("POST", "/api/jobs/", {"url": url})
        if status != 201:
            raise RuntimeError(f"{status} {answer}")
        return str(answer["job_uuid"])

    def reached(self, job_id: str, wanted: str) -> dict[str, Any]:
        """The job, once its status is this one."""
        for _ in range(600):
            job = self.get(f"/api/jobs/{job_id}")[1]
            if job["status"] == wanted:
                return job
            time.sleep(0.1)
        raise RuntimeError(f"the job did not get {wanted}: {job}")

    def cancel(self, job_id: str) -> None:
        self._ask("POST", f"/api/jobs/{job_id}/cancel", None)

    def download(self, url: str, **more: Any) -> dict[str, Any]:
        """Wait for the file. Raises `RuntimeError` when there is none."""
        status, answer = self._ask("POST", "/audio_dl/api/auto-download/", {"url": url, **more})
        if status != 200:
            raise RuntimeError(f"{status} {answer}")
        return answer

    def _ask(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def processes(self) -> list[psutil.Process]:
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of processor time of all its living processes, and of those that they waited for."""
        return sum(sum(process.cpu_times()[:4]) for process in self.processes())

    def service_pss(self) -> float:
        """Megabytes of the service's own process."""
        return float(psutil.Process(self.process.pid).memory_full_info().pss) / 1e6

    def scraper_pss(self) -> float:
        """Megabytes of the zygote and the workers together; shared pages count once."""
        return sum(process.memory_full_info().pss for process in self.processes()[1:]) / 1e6


def fresh_url(site: str) -> str:
    """Another address of the same 1 MB file each time: nothing comes from the store."""
    return f"{site}/n/bench{os.getpid()}x{next(_numbers)}.mp4"


def yt_dlp(url: str, directory: Path, *options: str) -> subprocess.Popen[bytes]:
    """The bare command, in an empty directory."""
    place = directory / f"bare{next(_numbers)}"
    place.mkdir(parents=True)
    quiet = ("--quiet", "--no-warnings", "--ignore-config")
    command: list[str | Path] = [SCRIPTS / "yt-dlp", *quiet, *options, "-o", f"{place}/%(id)s.%(ext)s", url]
    return subprocess.Popen(command)


def run(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait(300) != 0:
        raise RuntimeError(f"{process.args!r} failed")


def emptied(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
