"""The product as its users have it: `magpie run` as a process of its own, and the media site as another."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import imageio_ffmpeg
import psutil
import requests

from sandbox import gallery
from sandbox.bot_api import TOKEN
from sandbox.bot_api.remote import RemoteApi
from sandbox.youtube import write_plugin

ROOT = Path(__file__).resolve().parents[2]
MAGPIE = Path(sys.executable).with_name("magpie")
AUTO_DOWNLOAD = "/audio_dl/api/auto-download/"
HANG = 60.0
"""Seconds after which a test gives up. A guard against hanging, never a measure."""
LIVE = frozenset({"pending", "processing"})

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, *, within: float = HANG) -> T:
    """What `look` returns as soon as that is true."""
    deadline = time.monotonic() + within
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A port that is free on both loopbacks."""
    while True:
        with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
            four.bind(("127.0.0.1", 0))
            port: int = four.getsockname()[1]
            try:
                six.bind(("::1", port))
            except OSError:
                continue
            return port


def clean_environment(home: Path, **settings: str) -> dict[str, str]:
    """What a program gets that is started from a bare shell, with `MAGPIE_*` settings given by their names without it."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        **{f"MAGPIE_{name.upper()}": value for name, value in settings.items()},
    }


def command(directory: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `magpie` with these arguments in the directory, with the settings `magpie run` would have there."""
    return subprocess.run(
        [str(MAGPIE), *arguments], cwd=directory, env=clean_environment(directory, data_dir=str(directory / "data"), **settings),
        capture_output=True, text=True, timeout=HANG, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def playable(file: Path) -> bool:
    """Whether ffmpeg decodes the whole file without a complaint."""
    decoded = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-xerror", "-i", str(file), "-f", "null", "-"],
        capture_output=True, timeout=HANG, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return decoded.returncode == 0 and not decoded.stderr


def is_over(process: psutil.Process) -> bool:
    """Whether it is gone; one that only waits to be reaped does nothing any more."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class MediaSiteProcess:
    """`sandbox.media_site` as a process, with a yt-dlp plugin directory in which it stands in for YouTube."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._log = (directory / "site.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.media_site", "--port", "0", "--directory", str(directory / "media"), "--prepare"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.base = self._process.stdout.readline().rpartition(" ")[2].strip()
        assert self.base.startswith("http://"), (directory / "site.log").read_text()
        sizes = {f"media/{file.name}": file.stat().st_size for file in (directory / "media" / "media").iterdir()}
        self.plugin_dir = write_plugin(directory / "plugins", self.base, sizes)
        gallery.write_plugin(self.plugin_dir, self.base)
        self.directory = directory / "media"

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`, as an exception to the egress guard is written."""
        return self.base.removeprefix("http://")

    def url(self, path: str) -> str:
        return f"{self.base}/{path}"

    def asked(self) -> list[str]:
        """The paths of all requests so far."""
        return [asked["path"] for asked in requests.get(self.url("_log"), timeout=HANG).json()["requests"]]

    def reset(self) -> None:
        requests.post(self.url("_reset"), timeout=HANG).raise_for_status()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(HANG)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


class Running:
    """`magpie run` in a directory of its own. May be ended and started again; the data stays."""

    def __init__(self, directory: Path, **settings: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.data = directory, directory / "data"
        self.settings = {"log_format": "json", "port": str(free_port()), **settings}
        self.log_file = directory / "run.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @classmethod
    def beside(cls, site: MediaSiteProcess, directory: Path, **settings: str) -> Self:
        """One that may reach the media site, as which YouTube's media come too."""
        return cls(directory, **{"egress_allow": site.address, "ytdlp_plugin_dirs": str(site.plugin_dir), **settings})

    # --- life -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Returns when it takes requests."""
        self._log = self.log_file.open("ab")
        self._process = subprocess.Popen(
            [str(MAGPIE), "run"], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        eventually(self._is_ready, f"{self.url} is ready")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.log_text()}"
        try:
            return requests.get(f"{self.url}/api/health/simple", timeout=HANG).ok
        except requests.ConnectionError:
            return False

    def kill(self) -> list[psutil.Process]:
        """SIGKILL to the service itself; returns what it had started."""
        children = self.children()
        self._end(signal.SIGKILL)
        return children

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to stop and returns its exit status."""
        return self._end(number)

    def restart(self) -> None:
        self.end()
        self.start()

    def end(self) -> None:
        """By SIGTERM, should it still run; by force should it not listen."""
        if self._process is not None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def send(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Does not wait."""
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> int:
        self.send(number)
        assert self._process is not None
        status = self._process.wait(HANG)
        assert self._log is not None
        self._log.close()
        self._process = None
        return status

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[psutil.Process]:
        """Every process that it started, and that those started."""
        return psutil.Process(self.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """What the zygote forked: workers, and the filtering proxy when one runs."""
        return [child for zygote in psutil.Process(self.pid).children() for child in zygote.children()]

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(self.directory, data_dir=str(self.data), **self.settings)

    # --- HTTP -----------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return int(self.settings["port"])

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def post_auto_download(self, url: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> requests.Response:
        return requests.post(self.url + AUTO_DOWNLOAD, json={"url": url, **body}, headers=headers, timeout=HANG)

    def accepted(self, url: str, **body: Any) -> str:
        """The id of a new job that goes on by itself."""
        answer = self.post_auto_download(url, wait=False, **body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def at_once(self, *urls: str, **body: Any) -> list[requests.Response]:
        """One request for each address, all under way at the same time."""
        with ThreadPoolExecutor(len(urls)) as threads:
            return list(threads.map(lambda url: self.post_auto_download(url, **body), urls))

    def job(self, job_id: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/api/jobs/{job_id}", timeout=HANG)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended, however that was."""
        return eventually(lambda: job if (job := self.job(job_id))["status"] not in LIVE else None, f"job {job_id} ends") or {}

    def reached(self, job_id: str, phase: str) -> dict[str, Any]:
        """The job in this phase, with the first bytes there when it is the download."""

        def look() -> dict[str, Any] | None:
            job = self.job(job_id)
            assert job["status"] in LIVE, f"it was over before it was seen {phase}: {job}"
            return job if job["phase"] == phase and (phase != "downloading" or job["downloaded_bytes"]) else None

        return eventually(look, f"job {job_id} is {phase}") or {}

    # --- what it leaves -------------------------------------------------------------------------------------------

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """What a statement finds in the database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/magpie.db?mode=ro", uri=True, timeout=HANG)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(statement, values)]

    def stored(self) -> list[Path]:
        """Every file below the media root, temporary ones not counted."""
        return sorted(path for path in (self.data / "media" / "downloads").rglob("*") if path.is_file())

    def leftovers(self) -> list[Path]:
        """Whatever is below the directory for temporary files."""
        return list((self.data / "media" / ".work").rglob("*"))

    def untidy(self) -> list[str]:
        """What is on the disk without a row, has a row without being there in full, or was left behind."""
        named = {
            str(self.data / "media" / row["path"]): row["size"]
            for row in self.rows("select path, size from job_files join media_files on media_files.id = media_file_id")
        }
        there = {str(path): path.stat().st_size for path in self.stored()}
        wrong = [f"nobody's: {path}" for path in there.keys() - named.keys()]
        wrong += [f"not {size} bytes: {path}" for path, size in named.items() if there.get(path) != size]
        return wrong + [f"left behind: {path}" for path in self.leftovers()]

    # --- the log --------------------------------------------------------------------------------------------------

    def log_text(self) -> str:
        return self.log_file.read_text()

    def log_lines(self) -> list[dict[str, Any]]:
        """Raises `ValueError` for a line that is not JSON."""
        return [json.loads(line) for line in self.log_text().splitlines()]


def running_site(directory: Path) -> Iterator[MediaSiteProcess]:
    """For a fixture."""
    site = MediaSiteProcess(directory)
    try:
        yield site
    finally:
        site.stop()


class BotApiProcess:
    """`sandbox.bot_api` as a process, with the people who talk to the bot driven from here."""

    def __init__(self, directory: Path, *more: str, token: str = TOKEN) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.token = token
        self._log = (directory / "bot_api.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.bot_api", "--port", "0", "--token", token, "--directory", str(directory / "files"), *more],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.base = self._process.stdout.readline().rpartition(" ")[2].strip()
        assert self.base.startswith("http://"), (directory / "bot_api.log").read_text()
        self.api = RemoteApi(self.base)

    @property
    def settings(self) -> dict[str, str]:
        """What `magpie run` has to be told."""
        return {"bot_token": self.token, "bot_api_url": self.base, "open_to_all": "true"}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(HANG)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


def running_bot_api(directory: Path) -> Iterator[BotApiProcess]:
    """For a fixture."""
    process = BotApiProcess(directory)
    try:
        yield process
    finally:
        process.stop()
