"""The real scraper against the media site, both once for all tests: a heated zygote takes a second."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import imageio_ffmpeg
import pytest
import pytest_asyncio

from sandbox import gallery, youtube
from sandbox.media_site import MediaSite
from scraper.egress import EgressPolicy
from scraper.fetcher import YtDlpFetcher
from scraper.workers import ScraperConfig
from service.descriptions import Description
from service.fetching import Bounds, Fetched, FetchRequest, Identified
from service.media_url import MediaUrl
from service.model import Progress
from service.selection import Selection

YOUTUBE = "https://www.youtube.com/watch?v="
PUBLIC_VIDEO = f"{YOUTUBE}abcdefghijk"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@dataclass
class Watcher:
    """Says go, and remembers what it was told."""

    go: bool = True
    found: list[Identified] = field(default_factory=list)
    states: list[Progress] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def identified(self, found: Identified) -> bool:
        self.found.append(found)
        return self.go

    async def progressed(self, progress: Progress) -> None:
        self.states.append(progress)
        self.begun.set()


@dataclass
class Bench:
    """The fetcher, the site, and a directory for each fetch."""

    fetcher: YtDlpFetcher
    site: MediaSite
    root: Path

    def address(self, path: str) -> str:
        return path if path.startswith("http") else f"{self.site.base}{path}"

    def request(self, url: str, selection: Selection, *, trust_class: str = "public", **bounds: Any) -> FetchRequest:
        directory = self.root / uuid4().hex
        directory.mkdir(parents=True)
        limits = Bounds(
            max_bytes=int(bounds.get("max_bytes", 10**10)),
            max_duration=timedelta(seconds=bounds.get("max_duration", 12 * 3600)),
            max_time=timedelta(seconds=bounds.get("max_time", 60)),
        )
        return FetchRequest(
            job_id=uuid4(), url=MediaUrl.parse(url), selection=selection, directory=directory, bounds=limits, trust_class=trust_class
        )

    async def fetch(
        self, path: str, *selection: Any, watcher: Watcher | None = None, trust_class: str = "public", **bounds: Any
    ) -> Fetched:
        request = self.request(self.address(path), Selection.of(*selection), trust_class=trust_class, **bounds)
        fetched = await self.fetcher.fetch(request, watcher or Watcher())
        assert fetched is not None
        assert sorted(found.path for found in fetched.files) == sorted(request.directory.iterdir())
        return fetched

    async def describe(self, path: str, trust_class: str = "public") -> Description:
        return await self.fetcher.describe(MediaUrl.parse(self.address(path)), trust_class)

    def asked(self, path: str) -> int:
        """How often the site was asked for this path."""
        return len(self.site.log.of(path))


async def bench_on(site: MediaSite, root: Path, **config: Any) -> Bench:
    """Another fetcher beside the shared one; the caller stops it."""
    chosen = {"state_directory": root / "state", "policy": EgressPolicy(allow=(site.base.removeprefix("http://"),)), **config}
    bench = Bench(YtDlpFetcher(ScraperConfig(**chosen)), site, root / "jobs")
    await bench.fetcher.start()
    return bench


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MediaSite]:
    async with MediaSite(tmp_path_factory.mktemp("media")) as site:
        await site.files.prepare()
        yield site


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(site: MediaSite, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    root = tmp_path_factory.mktemp("scraper")
    for name in ("media/chirp.m4a", "media/minute.mp4", "media/dark.mp4"):
        await site.files.find(name)
    plugin = youtube.write_plugin(root / "plugin", site.base, site.files.sizes())
    gallery.write_plugin(plugin, site.base)
    bench = await bench_on(site, root, plugin_dirs=(plugin,))
    await bench.fetcher.ready()
    yield bench
    await bench.fetcher.stop()


def shown(path: Path) -> str:
    """What ffmpeg says of a file."""
    return subprocess.run([FFMPEG, "-hide_banner", "-i", f"file:{path}"], capture_output=True, text=True, check=False).stderr


def decodes(path: Path) -> bool:
    """Whether every frame of it can be played."""
    done = subprocess.run([FFMPEG, "-v", "error", "-xerror", "-i", f"file:{path}", "-f", "null", "-"], capture_output=True, check=False)
    return done.returncode == 0 and not done.stderr


def alive(pid: int) -> bool:
    """Whether a process of this number runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found += [int(entry.name), *descendants(int(entry.name))]
    return found


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """A hang guard, not a measurement."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def pixels(path: Path, *before: str, size: str = "64x36") -> list[bytes]:
    """Every frame of it, small and grey; what stands in `before` says which."""
    command = [FFMPEG, "-v", "error", *before, "-i", f"file:{path}", "-vf", f"scale={size.replace('x', ':')}", "-pix_fmt", "gray"]
    done = subprocess.run([*command, "-fps_mode", "passthrough", "-f", "rawvideo", "-"], capture_output=True, check=True)
    width, height = map(int, size.split("x"))
    return [done.stdout[at : at + width * height] for at in range(0, len(done.stdout), width * height)]
