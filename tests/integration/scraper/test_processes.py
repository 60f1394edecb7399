"""Worker processes: nothing outlives its job or its service, and secrets of one trust class never meet another's."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from scraper import zygotes
from scraper.egress import EgressPolicy
from scraper.equipment import Equipment
from scraper.fetcher import YtDlpFetcher
from scraper.forks import Zygote, killed, spawn_zygote
from scraper.workers import ScraperConfig
from service.errors import FetchFailed
from service.fetching import Identified
from service.model import Phase, Progress
from service.selection import Selection
from tests.integration.scraper.conftest import PUBLIC_VIDEO, YOUTUBE, Bench, Watcher, alive, bench_on, descendants, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIP = ("video", "mp4")


async def started(bench: Bench, path: str, *selection: Any, **bounds: Any) -> tuple[asyncio.Task[object], Path, Watcher]:
    """A fetch that is under way."""
    watcher = Watcher()
    request = bench.request(bench.address(path), Selection.of(*selection), **bounds)
    task: asyncio.Task[object] = asyncio.create_task(bench.fetcher.fetch(request, watcher))
    async with asyncio.timeout(20):
        await watcher.begun.wait()
    return task, request.directory, watcher


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_cancelled_download_leaves_no_process_and_no_file(bench: Bench) -> None:
    before = set(bench.fetcher.pool.pids())
    task, directory, _ = await started(bench, "/throttled/50/media/clip.mp4", *CLIP)
    zygote = bench.fetcher.pool.pids()[0]
    assert any(directory.iterdir())
    working = [pid for pid in bench.fetcher.pool.pids() if Path(f"/proc/{pid}/cwd").readlink() == directory]
    assert len(working) == 1
    os.kill(working[0], signal.SIGSTOP)  # so that it cannot end by itself
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(working[0])
    assert not any(directory.iterdir())
    assert zygote in before


async def test_a_cancelled_conversion_takes_ffmpeg_with_it(bench: Bench) -> None:
    watcher = Watcher()
    source = bench.address("/media/track3min.m4a")
    request = bench.request(source, Selection.of("audio", "mp3"))
    task = asyncio.create_task(bench.fetcher.fetch(request, watcher))
    zygote = bench.fetcher.pool.pids()[0]

    def converters() -> list[int]:
        found = []
        for pid in descendants(zygote):
            with contextlib.suppress(OSError):
                if b"libmp3lame" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    await until(lambda: bool(converters()))
    (ffmpeg,) = converters()
    os.kill(ffmpeg, signal.SIGSTOP)  # so that it does not end by itself
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(ffmpeg)
    assert not any(request.directory.iterdir())


async def test_a_job_that_takes_too_long_is_ended(bench: Bench) -> None:
    watcher = Watcher()
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch("/throttled/50/media/clip.mp4", *CLIP, watcher=watcher, max_time=0.5)
    assert failure.value.code == "time_limit"


async def test_a_worker_that_dies_is_said_and_replaced(bench: Bench) -> None:
    task, directory, _ = await started(bench, "/throttled/50/media/clip.mp4", *CLIP)
    (worker,) = [pid for pid in bench.fetcher.pool.pids() if Path(f"/proc/{pid}/cwd").readlink() == directory]
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(FetchFailed) as failure:
        await task
    assert failure.value.code == "worker_died"
    assert not any(directory.iterdir())
    await bench.fetch("/media/clip.mp4", *CLIP)


async def test_a_dead_zygote_is_replaced_and_its_jobs_fail_as_passing(bench: Bench) -> None:
    other = await bench_on(bench.site, bench.root / "zygote")
    try:
        task, _, _ = await started(other, "/throttled/50/media/clip.mp4", *CLIP)
        zygote, *workers = other.fetcher.pool.pids()
        os.kill(zygote, signal.SIGKILL)
        with pytest.raises(FetchFailed) as failure:
            await task
        assert failure.value.transient
        await other.fetch("/media/clip.mp4", *CLIP)
        assert other.fetcher.pool.pids()[0] != zygote
        assert not any(alive(pid) for pid in workers)
    finally:
        await other.fetcher.stop()


async def test_a_zygote_that_cannot_be_replaced_at_once_is_replaced_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    other = await bench_on(bench.site, bench.root / "crowded")
    refusals = [OSError(errno.EAGAIN, "Resource temporarily unavailable") for _ in range(2)]

    async def spawn_at_last(equipment: Equipment, place: Path | None = None) -> Zygote:
        if refusals:
            raise refusals.pop()
        return await spawn_zygote(equipment, place)

    monkeypatch.setattr(zygotes, "spawn_zygote", spawn_at_last)
    monkeypatch.setattr(zygotes, "_AGAIN_SECONDS", 0.01)
    try:
        (dead,) = other.fetcher.pool.pids()
        os.kill(dead, signal.SIGKILL)
        await until(lambda: other.fetcher.pool.pids()[0] != dead)
        assert refusals == []
        await other.fetch("/media/clip.mp4", *CLIP)
    finally:
        await other.fetcher.stop()


async def test_a_zygote_that_cannot_be_told_its_equipment_leaves_no_process_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    equipment = zygotes.equip(tmp_path, EgressPolicy(), ())
    open_before, running_before = descriptors(), set(descendants(os.getpid()))

    def break_off(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(socket.socket, "sendall", break_off)
    with pytest.raises(BrokenPipeError) as failure:
        await spawn_zygote(equipment)
    assert (max(0, descriptors() - open_before), set(descendants(os.getpid())) - running_before) == (0, set())
    assert failure.tb, "what it holds on to is not closed for want of a reference"


async def test_a_process_that_had_ended_before_it_was_killed_keeps_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told, wait = threading.Event(), os.waitpid

    def wait_late(pid: int, options: int) -> tuple[int, int]:
        if threading.current_thread() is not threading.main_thread():  # the loop's child watcher
            told.wait(30)
        return wait(pid, options)

    monkeypatch.setattr(os, "waitpid", wait_late)
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 3", start_new_session=True)
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    killing = asyncio.create_task(killed(process))
    await asyncio.sleep(0)
    told.set()
    await killing
    assert (process.returncode, [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]) == (3, [])


async def test_a_stopped_scraper_leaves_no_process_and_no_descriptor(bench: Bench) -> None:
    await bench.fetch("/media/clip.mp4", *CLIP)
    before = descriptors()
    other = await bench_on(bench.site, bench.root / "stopped")
    await other.fetch("/media/clip.mp4", *CLIP)
    async with other.fetcher.pool.proxy():
        pids = other.fetcher.pool.pids()
        assert len(pids) == 3
    await other.fetcher.stop()
    assert not any(alive(pid) for pid in pids)
    await until(lambda: descriptors() <= before)


async def test_twenty_fetches_leave_no_descriptor(bench: Bench) -> None:
    async def strangers(number: int) -> int:
        """Each of another trust class, so that every idle worker has been replaced by one of these."""
        for _ in range(number):
            await bench.fetch("/media/clip.mp4", *CLIP, trust_class=os.urandom(4).hex())
        return descriptors()

    # As many idle workers as there can be, before the first count: each holds descriptors of its own.
    before = await strangers(2 * bench.fetcher.pool.config.width)
    assert len(bench.fetcher.pool._idle) == bench.fetcher.pool.config.width
    await strangers(20)
    await until(lambda: descriptors() <= before)


async def test_workers_are_used_again_within_a_trust_class_and_never_across(bench: Bench) -> None:
    other = await bench_on(bench.site, bench.root / "trust", width=2)
    pool = other.fetcher.pool
    try:
        seen: dict[str, set[int]] = {}
        for trust in ("a", "a", "b", "a", "b", "c", "a"):
            await other.fetch("/media/clip.mp4", *CLIP, trust_class=trust)
            (pid,) = [worker.pid for worker in pool._idle if worker.trust_class == trust]
            seen.setdefault(trust, set()).add(pid)
            assert len(pool._idle) <= 2
        assert len(seen["a"]) <= 2
        assert not (seen["a"] & seen["b"] | seen["b"] & seen["c"] | seen["a"] & seen["c"])
    finally:
        await other.fetcher.stop()


async def test_a_worker_is_replaced_after_its_number_of_jobs_and_after_idling(bench: Bench) -> None:
    other = await bench_on(bench.site, bench.root / "recycling", jobs_a_worker=2, idle_seconds=0.3)
    try:
        pids = []
        for _ in range(3):
            await other.fetch("/media/clip.mp4", *CLIP)
            pids += [pid for pid in other.fetcher.pool.pids()[1:] if pid not in pids]
        assert len(pids) == 2
        await until(lambda: len(other.fetcher.pool.pids()) == 1)
        await until(lambda: not any(alive(pid) for pid in pids))
    finally:
        await other.fetcher.stop()


async def test_no_more_jobs_run_at_once_than_the_width(bench: Bench) -> None:
    other = await bench_on(bench.site, bench.root / "width", width=2)
    try:
        most = 0

        class Counting(Watcher):
            async def identified(self, found: Identified) -> bool:
                nonlocal most
                most = max(most, len(other.fetcher.pool._busy))
                return await super().identified(found)

        await asyncio.gather(*(other.fetch("/media/clip.mp4", *CLIP, watcher=Counting()) for _ in range(6)))
        assert most == 2
    finally:
        await other.fetcher.stop()


async def test_who_only_asks_what_is_there_does_not_wait_for_downloads(bench: Bench) -> None:
    plugins = bench.fetcher.pool.config.plugin_dirs
    other = await bench_on(bench.site, bench.root / "looks", width=1, looks=1, plugin_dirs=plugins)
    try:
        task, _, _ = await started(other, "/throttled/50/media/clip.mp4", *CLIP)
        async with asyncio.timeout(15):
            assert (await other.describe("/media/tiny.mp4")).title == "tiny"
            assert (await other.describe("/post/2")).count == 2
            assert await other.fetcher.thumbnail(await other.site.files.find("media/tiny.mp4")) is not None
        assert not task.done()
        # The zygote and the download's: who looked is gone again, since it was one too many.
        await until(lambda: len(other.fetcher.pool.pids()) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    finally:
        await other.fetcher.stop()


async def test_a_watcher_that_says_stop_ends_the_fetch_without_a_download(bench: Bench) -> None:
    bench.site.log.clear()
    watcher = Watcher(go=False)
    request = bench.request(bench.address("/n/stopped.mp4"), Selection.of(*CLIP))
    assert await bench.fetcher.fetch(request, watcher) is None
    assert not any(request.directory.iterdir())
    assert len(bench.site.log) == 1


async def test_a_watcher_that_fails_ends_the_fetch_and_its_worker(bench: Bench) -> None:
    class Failing(Watcher):
        async def identified(self, found: Identified) -> bool:
            raise LookupError(found.id)

    with pytest.raises(LookupError):
        await bench.fetch("/media/clip.mp4", *CLIP, watcher=Failing())
    await bench.fetch("/media/clip.mp4", *CLIP)


async def test_progress_counts_bytes_and_ends_with_converting(bench: Bench) -> None:
    watcher = Watcher()
    await bench.fetch("/throttled/1000/media/clip.mp4", *CLIP, watcher=watcher)
    loading = [state for state in watcher.states if state.phase is Phase.DOWNLOADING]
    amounts = [state.downloaded or 0 for state in loading]
    assert len(loading) >= 3
    assert amounts == sorted(amounts)
    assert loading[-1].downloaded == loading[-1].total
    assert any(state.speed and state.eta is not None for state in loading)
    assert watcher.states[-1].phase is Phase.CONVERTING
    assert isinstance(watcher.states[-1], Progress)


async def test_what_is_identified_is_known_before_the_download(bench: Bench) -> None:
    watcher = Watcher()
    await bench.fetch("/media/clip.mp4", *CLIP, watcher=watcher)
    await bench.fetch(PUBLIC_VIDEO, "audio", "m4a", watcher=watcher)
    direct, youtube = watcher.found
    assert (direct.extractor, direct.is_generic, len(direct.id)) == ("Generic", True, 64)
    assert direct.size is not None
    assert (youtube.extractor, youtube.is_generic, youtube.id) == ("Youtube", False, "abcdefghijk")
    assert (youtube.artist, youtube.duration) == ("Test Channel", timedelta(seconds=10))


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
    root, base = Path(sys.argv[1]), sys.argv[2]
    fetcher = YtDlpFetcher(ScraperConfig(state_directory=root / "state", policy=EgressPolicy(allow=("127.0.0.1",))))
    await fetcher.start()
    proxy = fetcher.pool.proxy()
    await proxy.__aenter__()
    bounds = Bounds(max_bytes=10**9, max_duration=timedelta(hours=1), max_time=timedelta(hours=1))
    def job(path, *selection):
        directory = root / uuid4().hex
        directory.mkdir()
        return fetcher.fetch(FetchRequest(job_id=uuid4(), url=MediaUrl.parse(base + path), selection=Selection.of(*selection),
                                          directory=directory, bounds=bounds), Watcher())
    await asyncio.gather(job("/throttled/50/media/clip.mp4"), job("/media/track3min.m4a", "audio", "mp3"))

asyncio.run(main())
"""


def has_begun(pid: int) -> bool:
    """Whether it is past its first line, where it asks to end with its parent: it has waited for something of its own will since it was
    made, however long it got no processor. Of one that is gone, yes.
    """
    try:
        process = psutil.Process(pid)
        return time.time() - process.create_time() > 0.5 and (
            process.num_ctx_switches().voluntary > 0 or sum(process.cpu_times()[:2]) > 0.1
        )
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("phase", ["downloading", "converting"])
async def test_kill_9_of_the_service_leaves_no_process(bench: Bench, tmp_path: Path, phase: str) -> None:
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(tmp_path), bench.site.base, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert service.stdout is not None
    async with asyncio.timeout(20):
        while phase not in (await service.stdout.readline()).decode():
            pass
    # One that is stopped between its fork and its first line cannot have asked to end with its parent yet.
    await until(lambda: all(has_begun(pid) for pid in descendants(service.pid)))
    family = descendants(service.pid)
    assert len(family) >= 4
    # Stopped, they cannot end by themselves, as a conversion would that is nearly done: only the kernel's kill ends them.
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        service.kill()
        await service.wait()
        await until(lambda: not any(alive(pid) for pid in family))
    finally:
        for pid in filter(alive, family):
            os.kill(pid, signal.SIGKILL)


async def test_another_fetch_after_all_that_still_works(bench: Bench) -> None:
    await bench.fetch(f"{YOUTUBE}zyxwvutsrqp", "audio", "opus")


async def test_a_scraper_that_is_stopped_at_once_leaves_no_process(bench: Bench) -> None:
    fetcher = YtDlpFetcher(ScraperConfig(state_directory=bench.root / "brief"))
    await fetcher.start()
    (zygote,) = fetcher.pool.pids()
    await fetcher.stop()
    assert not alive(zygote)
