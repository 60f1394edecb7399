"""What can only be seen from inside: the loop's lag while jobs run, and how fast a cancelled job is gone.

Run as a process of its own, with the settings in the environment; prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import psutil

from magpie.app import Service
from magpie.config import read_config
from scraper.tools import find_ffmpeg
from service.downloads import Order
from service.media_url import MediaUrl
from service.model import Origin, Phase
from service.selection import Selection


async def lag(samples: list[float]) -> None:
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.01)
        samples.append((time.perf_counter() - start - 0.01) * 1e3)


async def measure(site: str) -> dict[str, float]:
    service = Service(read_config())
    await service.start()
    await service._fetcher.ready()  # noqa: SLF001 - a warm start is what is measured
    for number in range(4):
        await finished(service, f"{site}/n/inside-warm{number}.mp4")
    samples: list[float] = []
    sampling = asyncio.create_task(lag(samples))
    await asyncio.gather(*(finished(service, f"{site}/n/inside{number}.mp4") for number in range(20)))
    sampling.cancel()
    cancels = [await cancelled(service, f"{site}/throttled/200/n/cancel{number}.mp4") for number in range(7)]
    convert, plain = await conversion(service, f"{site}/media/track3min.m4a")
    await service.stop()
    ordered = sorted(samples)
    return {
        "lag_p99_ms": ordered[int(len(ordered) * 0.99)],
        "lag_samples": len(ordered),
        "cancel_ms": statistics.median(cancels),
        "cancel_max_ms": max(cancels),
        "convert_s": convert,
        "plain_ffmpeg_s": plain,
    }


def order(url: str) -> Order:
    return Order(url=MediaUrl.parse(url), selection=Selection.of("video"), origin=Origin.API)


async def finished(service: Service, url: str, selection: Selection | None = None, *, refresh: bool = False) -> None:
    asked = order(url) if selection is None else replace(order(url), selection=selection, refresh=refresh)
    job, _ = await service.downloads.submit(asked)
    while job.status.is_live:
        await asyncio.sleep(0.05)
        job = await service.downloads.get(job.id)
    if job.error_code:
        raise RuntimeError(f"{job.error_code}: {job.error_message}")


async def cancelled(service: Service, url: str) -> float:
    """Milliseconds from the call until no process of the job is left."""
    job, _ = await service.downloads.submit(order(url))
    while (await service.downloads.get(job.id)).progress.phase is not Phase.DOWNLOADING:
        await asyncio.sleep(0.02)
    pool = service._fetcher.pool  # noqa: SLF001 - to know the worker
    workers = [worker.pid for worker in pool._busy]  # noqa: SLF001 - as above
    start = time.perf_counter()
    cancelling = asyncio.create_task(service.downloads.cancel(job.id))
    while any(psutil.pid_exists(pid) for pid in workers):
        await asyncio.sleep(0.0005)
    gone = (time.perf_counter() - start) * 1e3
    await cancelling
    return gone


async def conversion(service: Service, url: str) -> tuple[float, float]:
    """Seconds in the phase "converting" of a job that makes an mp3, and of plain ffmpeg on the same file, in turn."""
    source, target = Path(sys.argv[2]).with_name("plain.m4a"), Path(sys.argv[2]).with_name("plain.mp3")
    urllib.request.urlretrieve(url, source)
    options = ("-vn", "-c:a", "libmp3lame", "-q:a", "0")
    plain: list[str | Path] = [find_ffmpeg(), "-y", "-nostdin", "-v", "error", "-i", source, *options, target]
    pairs = []
    for _ in range(6):
        began: dict[str, float] = {}
        end = service._events.subscribe(lambda job, seen=began: seen.setdefault(job.progress.phase, time.perf_counter()))  # type: ignore[misc] # noqa: SLF001
        await finished(service, url, Selection.of("audio", "mp3"), refresh=True)
        end()
        start = time.perf_counter()
        await asyncio.to_thread(lambda: subprocess.run(plain, check=True))
        pairs.append((began[Phase.STORING] - began[Phase.CONVERTING], time.perf_counter() - start))
    return statistics.median(pair[0] for pair in pairs[1:]), statistics.median(pair[1] for pair in pairs[1:])


if __name__ == "__main__":
    result = asyncio.run(measure(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(result))
