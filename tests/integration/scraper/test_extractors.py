"""Fresh extractors: what pip brings proves itself before it is used, and takes over while downloads run."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import io
import logging
import os
import signal
import sys
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sandbox.package_index import PackageIndex, ytdlp_wheel
from scraper.extractors import FreshExtractors, UpdateFailed, UpdateUnderWay, version_in
from scraper.update import Update, Updated
from service.selection import Selection
from tests.integration.scraper.conftest import Bench, Watcher, alive, bench_on, descendants, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWN = importlib.metadata.version("yt-dlp")
CLIP = ("video", "mp4")
SLOW = "/throttled/35/media/clip.mp4"
FRESH, FRESHER = "2030.1.1", "2030.1.2"
NO_IMPORT = {"yt_dlp/__init__.py": "raise ImportError('broken on purpose')"}
HANGS = {"yt_dlp/__init__.py": "__import__('time').sleep(3600)"}
NO_EXTRACTION = {"yt_dlp/extractor/generic.py": "def _no(self, url):\n    raise ExtractorError('no')\nGenericIE._real_extract = _no"}
NO_DOWNLOAD = {"yt_dlp/downloader/common.py": "def _broken(self, *_, **__):\n    return False, False\nFileDownloader.download = _broken"}

UPDATE = """
import asyncio, sys
from pathlib import Path
from scraper.extractors import FreshExtractors
from scraper.update import Update

asyncio.run(Update(FreshExtractors(Path(sys.argv[1]))).run())
"""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The only place where pip finds anything."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    with PackageIndex() as index:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        index.add_solver("0.8.0")
        yield index


@pytest.fixture
def extractors(tmp_path: Path) -> FreshExtractors:
    (tmp_path / "extractors").mkdir()
    return FreshExtractors(tmp_path / "extractors")


def kept(extractors: FreshExtractors) -> set[str]:
    """The versions, and whatever else is not just there to keep order."""
    return {entry.name for entry in extractors.root.iterdir()} - {"current", "lock", "tried"}


def a_release(extractors: FreshExtractors, version: str, changed: dict[str, str] | None = None) -> Path:
    """As an update leaves it, without the proof."""
    with zipfile.ZipFile(io.BytesIO(ytdlp_wheel(version, changed=changed))) as archive:
        archive.extractall(extractors.root / version)
    return extractors.root / version


# --- an update --------------------------------------------------------------------------------------------------------


async def test_the_newest_comes_with_exactly_its_solver_scripts(index: PackageIndex, extractors: FreshExtractors) -> None:
    index.add_ytdlp(FRESH, solver="0.8.0")
    index.add_ytdlp(FRESHER, solver="0.9.0")
    for version in ("0.9.0", "0.9.1"):
        index.add_solver(version)
    assert await Update(extractors).run() == Updated(before=OWN, after=FRESHER)
    place = extractors.chosen()
    assert (version_in(place), version_in(place, "yt-dlp-ejs")) == (FRESHER, "0.9.0")
    assert kept(extractors) == {FRESHER}


async def test_what_is_no_newer_changes_nothing(index: PackageIndex, extractors: FreshExtractors) -> None:
    index.add_ytdlp(OWN)
    updated = await Update(extractors).run()
    assert (updated, updated.changed) == (Updated(before=OWN, after=OWN), False)
    assert (extractors.chosen(), kept(extractors)) == (None, set())


@pytest.mark.parametrize(
    ("changed", "told"),
    [(NO_IMPORT, "ImportError: broken on purpose"), (NO_EXTRACTION, "page: "), (NO_DOWNLOAD, "clip.mp4: "), (HANGS, "within 3 seconds")],
    ids=["import", "extraction", "download", "hangs"],
)
async def test_one_that_does_not_work_leaves_everything_as_it_was(
    index: PackageIndex, extractors: FreshExtractors, changed: dict[str, str], told: str
) -> None:
    good = a_release(extractors, FRESH)
    extractors.choose(good)
    index.add_ytdlp(FRESHER, changed=changed)
    with pytest.raises(UpdateFailed, match=f"^yt-dlp {FRESHER} does not work here, so the present one stays: .*{told}"):
        await Update(extractors, seconds=3 if changed is HANGS else 60).run()
    assert extractors.chosen() == good
    assert kept(extractors) == {FRESH}


async def test_one_that_is_another_than_it_says_is_not_used(index: PackageIndex, extractors: FreshExtractors) -> None:
    index.add_ytdlp(FRESH, changed={"yt_dlp/version.py": f"__version__ = {OWN!r}"})
    with pytest.raises(UpdateFailed, match=f"what was loaded is {OWN}"):
        await Update(extractors).run()
    assert (extractors.chosen(), kept(extractors)) == (None, set())


async def test_one_without_its_solver_scripts_is_not_used(index: PackageIndex, extractors: FreshExtractors) -> None:
    index.add_ytdlp(FRESH, solver="0.9.7")
    with pytest.raises(UpdateFailed, match=r"^yt-dlp-ejs==0\.9\.7 could not be fetched: "):
        await Update(extractors).run()
    assert (extractors.chosen(), kept(extractors)) == (None, set())


async def test_a_wheel_that_is_no_wheel_is_told(index: PackageIndex, extractors: FreshExtractors) -> None:
    index.add("yt-dlp", FRESH, b"this is no archive")
    with pytest.raises(UpdateFailed, match=r"^yt-dlp could not be fetched: [^\n]+$"):
        await Update(extractors).run()
    assert (extractors.chosen(), kept(extractors)) == (None, set())


async def test_without_an_index_one_sentence_says_so(
    index: PackageIndex, extractors: FreshExtractors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(UpdateFailed, match=r"^yt-dlp could not be fetched: the package index cannot be reached\.$"):
        await Update(extractors).run()
    assert (extractors.chosen(), kept(extractors)) == (None, set())


async def test_of_two_at_once_the_second_says_that_one_is_under_way(index: PackageIndex, extractors: FreshExtractors) -> None:
    index.add_ytdlp(FRESH)
    first, second = await asyncio.gather(*(Update(extractors).run() for _ in range(2)), return_exceptions=True)
    assert isinstance(first, Updated)
    assert isinstance(second, UpdateUnderWay)
    assert index.asked.count("/simple/yt-dlp/") == 1


async def test_one_that_is_cancelled_leaves_nothing_behind(index: PackageIndex, extractors: FreshExtractors) -> None:
    index.add_ytdlp(FRESH)
    index.answers.clear()
    before = set(descendants(os.getpid()))
    updating = asyncio.create_task(Update(extractors).run())
    await until(lambda: bool(index.asked), 30)
    (pip,) = [pid for pid in descendants(os.getpid()) if pid not in before and b"pip\0install" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    updating.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):  # pip itself would be patient for longer
            await updating
    assert not alive(pip)
    assert kept(extractors) == set()
    with extractors.locked():
        pass


class SlowToPut(FreshExtractors):
    """To put one to its place takes until `may_put`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_putting, self.may_put = threading.Event(), threading.Event()

    def put(self, fresh: Path, version: str, before: Path | None) -> Path:
        self.is_putting.set()
        self.may_put.wait(30)
        return super().put(fresh, version, before)


async def test_one_that_is_cancelled_while_it_is_put_to_its_place_gets_there_whole_and_under_the_lock(
    index: PackageIndex, extractors: FreshExtractors
) -> None:
    index.add_ytdlp(FRESH)
    slow = SlowToPut(extractors.root)
    updating = asyncio.create_task(Update(slow).run())
    await until(slow.is_putting.is_set, 60)
    for _ in range(2):
        updating.cancel()
        await asyncio.wait({updating}, timeout=0.3)
    with pytest.raises(UpdateUnderWay), extractors.locked():
        pass
    slow.may_put.set()
    with pytest.raises(asyncio.CancelledError):
        await updating
    assert (extractors.chosen(), kept(extractors)) == (extractors.root / FRESH, {FRESH})


async def test_after_an_update_the_new_one_and_the_one_before_are_kept(index: PackageIndex, extractors: FreshExtractors) -> None:
    oldest, old = a_release(extractors, "2030.1.0"), a_release(extractors, FRESH)
    extractors.choose(old, oldest)
    index.add_ytdlp(FRESHER)
    assert await Update(extractors).run() == Updated(before=FRESH, after=FRESHER)
    assert kept(extractors) == {FRESHER, FRESH}


class TidyOnce(FreshExtractors):
    """Can be tidied before an update, and not after it."""

    is_tidy = False

    def tidy(self) -> None:
        if self.is_tidy:
            raise OSError(5, "Input/output error")
        super().tidy()
        self.is_tidy = True


async def test_an_update_that_cannot_tidy_up_after_itself_is_done_all_the_same(index: PackageIndex, extractors: FreshExtractors) -> None:
    index.add_ytdlp(FRESH)
    assert await Update(TidyOnce(extractors.root)).run() == Updated(before=OWN, after=FRESH)
    assert extractors.chosen() == extractors.root / FRESH


async def test_the_lock_outlives_a_killed_update_as_long_as_its_pip(index: PackageIndex, extractors: FreshExtractors) -> None:
    root = Path(__file__).parents[3]
    index.add_ytdlp(FRESH)
    index.answers.clear()
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", UPDATE, str(extractors.root), cwd=root)
    await until(lambda: bool(index.asked), 30)
    pids = descendants(other.pid)
    other.kill()
    await other.wait()
    with pytest.raises(UpdateUnderWay):
        await Update(extractors).run()
    index.answers.set()
    await until(lambda: not any(alive(pid) for pid in pids), 60)
    assert any(name.startswith(".new-") for name in kept(extractors))
    assert (await Update(extractors).run()).changed
    assert kept(extractors) == {FRESH}


async def test_a_version_that_is_chosen_and_broken_is_replaced(index: PackageIndex, extractors: FreshExtractors) -> None:
    place = a_release(extractors, FRESH, NO_IMPORT)
    (place / f"yt_dlp-{FRESH}.dist-info" / "METADATA").unlink()
    extractors.choose(place)
    index.add_ytdlp(FRESH)
    await Update(extractors).run()
    assert extractors.chosen() == place
    assert "broken" not in (place / "yt_dlp" / "__init__.py").read_text()


# --- a scraper that runs ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def running(bench: Bench, extractors: FreshExtractors, **config: object) -> AsyncIterator[Bench]:
    other = await bench_on(bench.site, extractors.root.parent, extractors=extractors, **config)
    try:
        yield other
    finally:
        await other.fetcher.stop()


def places(bench: Bench) -> list[Path | None]:
    """Where the workers that wait for more have their yt-dlp from."""
    return [worker.zygote.place for worker in bench.fetcher.pool._idle]


async def test_a_fresh_one_takes_over_while_a_download_goes_on_with_the_old_one(bench: Bench, extractors: FreshExtractors) -> None:
    async with running(bench, extractors, width=3) as other:
        told: list[Path | None] = []
        other.fetcher.pool.on_other_extractors = lambda: told.append(other.fetcher.pool.extractors)
        await other.fetch("/media/clip.mp4", *CLIP)
        watcher = Watcher()
        slow = asyncio.create_task(other.fetcher.fetch(other.request(other.address(SLOW), Selection.of(*CLIP), max_time=120), watcher))
        await watcher.begun.wait()
        await other.fetch("/media/tiny.mp4", *CLIP, trust_class="other")
        old = other.fetcher.pool.pids()[0]
        assert places(other) == [None]
        place = a_release(extractors, FRESH)
        extractors.choose(place)
        await until(lambda: other.fetcher.pool.extractors == place, 60)
        assert (places(other), told) == ([], [place])
        await other.fetch("/media/clip.mp4", *CLIP)
        assert places(other) == [place]
        assert not slow.done()
        assert alive(old)
        assert await slow is not None
        await until(lambda: not alive(old))
        assert places(other) == [place]
        assert len(watcher.found) == 1


async def test_one_that_never_gets_warm_is_rolled_back(bench: Bench, extractors: FreshExtractors, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "magpie.scraper")
    async with running(bench, extractors, warm_seconds=0.5) as other:
        await other.fetcher.ready()
        before = other.fetcher.pool.pids()
        extractors.choose(a_release(extractors, FRESH, HANGS))
        await until(lambda: extractors.stamp() is None, 30)
        await other.fetch("/media/clip.mp4", *CLIP)
        assert other.fetcher.pool.pids()[:1] == before
        await until(lambda: kept(extractors) == set(), 30)  # the broken one goes behind
        assert extractors.chosen() is None
    assert "does not start" in caplog.text


async def test_one_that_cannot_start_gives_way_to_the_fresh_one_before(bench: Bench, extractors: FreshExtractors) -> None:
    good = a_release(extractors, FRESH)
    extractors.choose(good)
    async with running(bench, extractors) as other:
        await other.fetch("/media/clip.mp4", *CLIP)
        extractors.choose(a_release(extractors, FRESHER, NO_IMPORT), good)
        await until(lambda: extractors.chosen() == good, 30)
        await other.fetch("/media/clip.mp4", *CLIP)
        assert places(other) == [good]
        await until(lambda: kept(extractors) == {FRESH}, 30)  # the broken one goes behind


@pytest.mark.parametrize("broken", ["names nothing", "is no text", "cannot be loaded", "hangs"])
async def test_a_start_with_a_broken_choice_uses_the_environments_own(
    bench: Bench, extractors: FreshExtractors, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    if broken in {"cannot be loaded", "hangs"}:
        extractors.choose(a_release(extractors, FRESH, HANGS if broken == "hangs" else NO_IMPORT))
    else:
        (extractors.root / "current").write_bytes(b"2030.1.1\n" if broken == "names nothing" else b"\xff\0")
    caplog.set_level(logging.ERROR, "magpie.scraper")
    async with running(bench, extractors, warm_seconds=1.0 if broken == "hangs" else 60.0) as other:
        await other.fetch("/media/clip.mp4", *CLIP)
        assert places(other) == [None]
        assert other.fetcher.inventory()[0].version == OWN
    assert "the one that Magpie came with" in caplog.text


async def test_the_environments_own_is_returned_to_when_nothing_is_chosen_any_more(bench: Bench, extractors: FreshExtractors) -> None:
    place = a_release(extractors, FRESH)
    extractors.choose(place)
    async with running(bench, extractors) as other:
        await other.fetch("/media/clip.mp4", *CLIP)
        assert places(other) == [place]
        (extractors.root / "current").unlink()
        await until(lambda: other.fetcher.pool.extractors is None, 30)
        await other.fetch("/media/clip.mp4", *CLIP)
        assert places(other) == [None]


async def test_what_a_scraper_uses_is_not_removed(bench: Bench, extractors: FreshExtractors) -> None:
    place = a_release(extractors, FRESH)
    extractors.choose(place)
    async with running(bench, extractors) as other:
        await other.fetcher.ready()
        assert not extractors.remove(place)
    assert extractors.remove(place)


async def test_a_zygote_that_dies_is_followed_by_one_on_the_same_extractors(bench: Bench, extractors: FreshExtractors) -> None:
    place = a_release(extractors, FRESH)
    extractors.choose(place)
    async with running(bench, extractors) as other:
        await other.fetch("/media/clip.mp4", *CLIP)
        dead = other.fetcher.pool.pids()[0]
        os.kill(dead, signal.SIGKILL)
        await until(lambda: other.fetcher.pool.pids()[0] != dead)
        await other.fetch("/media/clip.mp4", *CLIP)
        assert places(other) == [place]


async def test_a_scraper_that_is_stopped_while_another_zygote_gets_warm_leaves_no_process(
    bench: Bench, extractors: FreshExtractors
) -> None:
    before = set(descendants(os.getpid()))
    async with running(bench, extractors) as other:
        await other.fetcher.ready()
        extractors.choose(a_release(extractors, FRESH, HANGS))
        await until(lambda: len(other.fetcher.pool._zygotes._in_use) == 2, 30)
        assert len(other.fetcher.pool.pids()) == 1
    assert not any(alive(pid) for pid in set(descendants(os.getpid())) - before)
