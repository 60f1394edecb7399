from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from sandbox.media_site import MediaSite

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def media_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture
async def site(media_directory: Path) -> AsyncIterator[MediaSite]:
    async with MediaSite(media_directory) as site:
        yield site


@pytest.fixture
async def client(site: MediaSite) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.base, timeout=aiohttp.ClientTimeout(total=30)) as client:
        yield client


@pytest.fixture(scope="module")
def site_process(media_directory: Path) -> Iterator[str]:
    """The site as its own process; its base address."""
    command = [sys.executable, "-m", "sandbox.media_site", "--directory", str(media_directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("media site at ")
        yield ready.removeprefix("media site at ").strip()
        process.terminate()
        assert process.wait(timeout=10) == 0
