"""Posts of pictures: real gallery-dl, which has one way out, and keeps nothing that is not a picture or a video."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scraper.gallery_run import Run
from scraper.picture_files import picture_in
from service.descriptions import DescriptionKind
from service.errors import FetchFailed, InvalidUrl
from service.fetching import Fetched
from service.media_url import MediaUrl
from service.model import Phase
from service.selection import MediaType, Selection
from tests.integration.scraper.conftest import YOUTUBE, Bench, Watcher, alive, bench_on, descendants, until
from tests.integration.scraper.test_guard import Trap, trap

pytestmark = pytest.mark.asyncio(loop_scope="session")

__all__ = ["trap"]


async def post(bench: Bench, path: str, **more: Any) -> Fetched:
    return await bench.fetch(path, "picture", **more)


async def failure_of(bench: Bench, path: str, **more: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as failure:
        await post(bench, path, **more)
    assert galleries_running() == []
    return failure.value


def galleries_running() -> list[int]:
    """gallery-dl's processes among ours."""
    return [
        pid for pid in descendants(os.getpid()) if alive(pid) and b"scraper.gallery_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


async def test_a_post_is_told_with_its_title_its_painter_and_a_picture(bench: Bench, tmp_path: Path) -> None:
    found = await bench.describe("/post/7")
    assert (found.kind, found.title, found.artist) == (DescriptionKind.PICTURES, "A post of pictures", "Test Painter")
    assert (found.count, found.choices, found.items) == (7, (), ())
    assert found.picture is not None
    path = tmp_path / "first.jpg"
    path.write_bytes(found.picture)
    assert picture_in(path) is not None


async def test_all_pictures_of_a_post_come_in_order_byte_for_byte(bench: Bench) -> None:
    fetched = await post(bench, "/post/5")
    names = ["640x480.jpg", "320x240.png", "1200x800.jpg", "200x300.png", "500x500.webp"]
    originals = [await bench.site.files.find(f"picture/{name}") for name in names]
    assert [file.path.read_bytes() for file in fetched.files] == [path.read_bytes() for path in originals]
    assert [file.path.name for file in fetched.files] == [f"picture{at:04}.{name[-4:].strip('.')}" for at, name in enumerate(names, 1)]
    assert [(file.width, file.height) for file in fetched.files] == [(640, 480), (320, 240), (1200, 800), (200, 300), (500, 500)]
    assert {file.kind for file in fetched.files} == {MediaType.PICTURE}


async def test_each_picture_has_its_size_and_digest(bench: Bench) -> None:
    (file,) = (await post(bench, "/post/1")).files
    content = file.path.read_bytes()
    assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


async def test_what_is_found_is_told_before_a_picture_is_fetched(bench: Bench) -> None:
    bench.site.log.clear()
    watcher = Watcher(go=False)
    request = bench.request(bench.address("/post/3"), Selection.of("picture"))
    assert await bench.fetcher.fetch(request, watcher) is None
    assert (watcher.found[0].extractor, watcher.found[0].title) == ("gallery-dl:local", "A post of pictures")
    assert {asked.path for asked in bench.site.log} == {"/post/3"}
    assert not any(request.directory.iterdir())


async def test_a_link_to_a_picture_itself_is_a_post_of_one(bench: Bench) -> None:
    found = await bench.describe("/picture/300x200.jpg")
    assert (found.kind, found.count, found.is_generic) == (DescriptionKind.PICTURES, 1, True)
    assert [(file.width, file.height) for file in (await post(bench, "/picture/300x200.jpg")).files] == [(300, 200)]


async def test_a_video_among_pictures_comes_as_one(bench: Bench) -> None:
    fetched = await post(bench, f"/post/2?with={bench.site.base}/media/tiny.mp4")
    assert [(file.kind, file.extension) for file in fetched.files] == [
        (MediaType.PICTURE, "jpg"), (MediaType.VIDEO, "mp4"), (MediaType.PICTURE, "png"),
    ]  # fmt: skip
    assert fetched.files[1].duration is not None


@pytest.mark.parametrize("path", ["/page/empty", "/html-as-mp4.mp4", "/svg.mp4", "/disguised.mp4", "/media/song.m4a", "/media/subs.vtt"])
async def test_what_is_neither_picture_nor_video_is_dropped(bench: Bench, path: str) -> None:
    fetched = await post(bench, f"/post/2?with={bench.site.base}{path}")
    assert [file.extension for file in fetched.files] == ["jpg", "png"]


@pytest.mark.parametrize("how", ["{trap}/x.jpg", "{site}/redirect?to={trap}/x.jpg", "http://localhost:{port}/x.jpg"])
async def test_a_picture_at_a_private_address_fails_the_post_without_a_byte(bench: Bench, trap: Trap, how: str) -> None:
    address = how.format(trap=trap.base, site=bench.site.base, port=trap.base.rpartition(":")[2])
    assert (await failure_of(bench, f"/post/2?with={address}")).code == "address_not_allowed"
    assert trap.visits == 0


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x.jpg", "text:secret", "ytdl:http://127.0.0.1/x"])
async def test_a_file_with_another_kind_of_address_never_comes(bench: Bench, address: str) -> None:
    fetched = await post(bench, f"/post/2?with={address}")
    assert [file.extension for file in fetched.files] == ["jpg", "png"]


PREFIXES = ["r:", "recursive:", "noextractor:", "oauth:", "ytdl:", "generic:", "test:"]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_no_prefix_of_gallery_dl_gets_as_far_as_an_address(prefix: str) -> None:
    with pytest.raises(InvalidUrl):
        MediaUrl.parse(f"{prefix}http://127.0.0.1/post/1")


def run_of(bench: Bench, tmp_path: Path, port: int) -> Run:
    """A run as the scraper makes it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    plugins = bench.fetcher.pool.config.plugin_dirs
    return Run(scratch=scratch, home=tmp_path, port=port, plugin_dirs=plugins, max_items=10, max_bytes=10**7)


@pytest.mark.parametrize("prefix", [*PREFIXES[:-1], "r:file://"])
async def test_even_a_prefix_that_got_through_finds_nothing(bench: Bench, tmp_path: Path, prefix: str) -> None:
    page = tmp_path / "links.txt"
    page.write_text(f"{bench.site.base}/post/1")
    bench.site.log.clear()
    async with bench.fetcher.pool.proxy() as proxy:
        address = f"{prefix}{page}" if "file" in prefix else f"{prefix}{bench.site.base}/post/1"
        said = await run_of(bench, tmp_path, proxy.port).list(address)
    assert b"picture/" not in said.output
    assert len(bench.site.log) == 0


async def test_gallery_dl_has_no_other_way_out_than_the_proxy(bench: Bench, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    plugin = str(next(bench.fetcher.pool.config.plugin_dirs[0].glob("*/gallery_dl_plugins")))
    config.write_text(f'{{"extractor": {{"module-sources": ["{plugin}"], "retries": 0}}, "cache": {{"file": ":memory:"}}}}')
    bench.site.log.clear()

    async def listed(*command: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, "--config-ignore", "--config", str(config), "-j", bench.address("/post/1"),
            env={"PYTHONPATH": str(Path(__file__).parents[3])}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path,
        )  # fmt: skip
        return (await asyncio.wait_for(process.communicate(), 30))[0]

    # Not told of any proxy, it would go straight to the site: without our process around it, it does.
    within = await listed("-m", "scraper.gallery_process", str(os.getpid()), "1", "1000000", "--")
    assert b"picture/" not in within
    assert len(bench.site.log) == 0
    assert b"picture/" in await listed("-m", "gallery_dl")


async def test_a_post_that_is_too_large_is_stopped_while_it_comes(bench: Bench) -> None:
    bench.site.log.clear()
    failure = await failure_of(bench, f"/post/2?with={bench.site.base}/endless.mp4?kbps=20000", max_bytes=2_000_000)
    assert failure.code == "too_large"
    async with asyncio.timeout(10):
        await bench.site.log.until(lambda log: all(asked.ended for asked in log.of("/endless.mp4")))
    assert bench.site.log.sent("/endless.mp4") < 30_000_000


async def test_pictures_that_become_too_large_together_are_stopped_while_they_come(bench: Bench) -> None:
    # The clip alone is within the bound, with the picture before it no more; what comes next would take a minute.
    base, size = bench.site.base, bench.site.files.sizes()["media/clip.mp4"]
    path = f"/post/2?with={base}/media/clip.mp4&with={base}/slow/60/media/tiny.mp4"
    assert (await failure_of(bench, path, max_bytes=size + 1000)).code == "too_large"


async def test_pictures_that_are_too_large_together_are_refused(bench: Bench) -> None:
    assert (await failure_of(bench, "/post/40", max_bytes=300_000)).code == "too_large"


async def test_a_post_of_more_pictures_than_may_come_is_refused_before_the_first(bench: Bench) -> None:
    other = await bench_on(bench.site, bench.root / "few-pictures", plugin_dirs=bench.fetcher.pool.config.plugin_dirs, max_items=5)
    try:
        found = await other.describe("/post/30")
        assert found.count == 6
        other.site.log.clear()
        assert (await failure_of(other, "/post/30")).code == "is_playlist"
        assert {asked.path for asked in other.site.log} == {"/post/30"}
        assert len((await post(other, "/post/5")).files) == 5
    finally:
        await other.fetcher.stop()


async def test_a_post_that_takes_too_long_is_ended(bench: Bench) -> None:
    failure = await failure_of(bench, f"/post/2?with={bench.site.base}/slow/60/media/tiny.mp4", max_time=3)
    assert failure.code == "time_limit"


async def test_progress_counts_bytes(bench: Bench) -> None:
    watcher = Watcher()
    await post(bench, f"/post/3?with={bench.site.base}/throttled/1000/media/clip.mp4", watcher=watcher)
    amounts = [state.downloaded or 0 for state in watcher.states if state.phase is Phase.DOWNLOADING]
    assert len(amounts) >= 3
    assert amounts == sorted(amounts)
    assert amounts[-1] > 100_000


async def test_a_cancelled_post_leaves_no_process_and_no_file(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGPIE_BOT_TOKEN", "secret")
    slow = f"{bench.site.base}/slow/60/media/tiny.mp4"
    request = bench.request(bench.address(f"/post/2?with={slow}"), Selection.of("picture"))
    watcher = Watcher()
    task = asyncio.create_task(bench.fetcher.fetch(request, watcher))
    async with asyncio.timeout(20):
        await watcher.begun.wait()
    (gallery,) = galleries_running()
    assert b"secret" not in Path(f"/proc/{gallery}/environ").read_bytes()
    assert os.getpgid(gallery) == gallery
    os.kill(gallery, signal.SIGSTOP)  # so that it cannot end by itself
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(gallery)
    assert not any(request.directory.iterdir())


SERVICE = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4
from scraper.egress import EgressPolicy
from scraper.fetcher import YtDlpFetcher
from scraper.workers import ScraperConfig
from service.media_url import MediaUrl
from service.selection import Selection
from service.fetching import Bounds, FetchRequest

class Watcher:
    async def identified(self, found): return True
    async def progressed(self, progress): print(progress.phase, flush=True)

async def main():
    root, address, plugins = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    config = ScraperConfig(state_directory=root / "state", policy=EgressPolicy(allow=("127.0.0.1",)), plugin_dirs=(plugins,))
    fetcher = YtDlpFetcher(config)
    await fetcher.start()
    bounds = Bounds(max_bytes=10**9, max_duration=timedelta(hours=1), max_time=timedelta(hours=1))
    directory = root / "job"
    directory.mkdir()
    await fetcher.fetch(FetchRequest(job_id=uuid4(), url=MediaUrl.parse(address), selection=Selection.of("picture"),
                                     directory=directory, bounds=bounds), Watcher())

asyncio.run(main())
"""


async def test_kill_9_of_the_service_leaves_no_gallery_dl(bench: Bench, tmp_path: Path) -> None:
    address = bench.address(f"/post/2?with={bench.site.base}/slow/60/media/tiny.mp4")
    plugins = str(bench.fetcher.pool.config.plugin_dirs[0])
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(tmp_path), address, plugins, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert service.stdout is not None
    async with asyncio.timeout(20):
        assert b"downloading" in await service.stdout.readline()
    family = descendants(service.pid)
    (gallery,) = galleries_running()
    assert gallery in family
    for pid in family:
        os.kill(pid, signal.SIGSTOP)  # so that none of them ends by itself
    try:
        service.kill()
        await service.wait()
        await until(lambda: not any(alive(pid) for pid in family))
    finally:
        for pid in filter(alive, family):
            os.kill(pid, signal.SIGKILL)


# --- without gallery-dl, and without pictures -----------------------------------------------------------------------


@pytest.fixture
def without_gallery_dl(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gallery_dl" else find(name))


async def test_a_post_without_video_says_that_pictures_are_not_set_up_where_they_are_not(bench: Bench, without_gallery_dl: None) -> None:
    for look in (bench.describe(f"{YOUTUBE}POSTaaaaaaa"), bench.fetch(f"{YOUTUBE}POSTaaaaaaa", "video", "mp4")):
        with pytest.raises(FetchFailed) as failure:
            await look
        assert failure.value.code == "pictures_unsupported"


async def test_pictures_cannot_be_fetched_where_they_are_not_set_up(bench: Bench, without_gallery_dl: None) -> None:
    assert (await failure_of(bench, "/post/3")).code == "pictures_unsupported"
    with pytest.raises(FetchFailed) as failure:
        await bench.describe("/page/empty")
    assert failure.value.code == "unsupported"


async def test_a_post_in_which_nobody_finds_anything_is_unsupported(bench: Bench) -> None:
    for look in (bench.describe(f"{YOUTUBE}POSTaaaaaaa"), bench.describe("/page/empty"), bench.describe("/post/0")):
        with pytest.raises(FetchFailed) as failure:
            await look
        assert failure.value.code == "unsupported"


async def test_a_page_without_pictures_has_none_to_fetch(bench: Bench) -> None:
    assert (await failure_of(bench, "/page/empty")).code == "unsupported"
    assert (await failure_of(bench, "/post/0")).code == "unsupported"
