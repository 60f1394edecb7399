"""What can only be seen from inside: the loop's lag while jobs run, and how fast a cancelled job is gone.

Run as a process of its own, with the settings in the environment; prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

import psutil

from magpie.app import Service
from magpie.config import read_config
from service.downloads import Order
from service.media_url import MediaUrl
from service.model import Origin, Phase, Selection


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
    await service.stop()
    ordered = sorted(samples)
    return {
        "lag_p99_ms": ordered[int(len(ordered) * 0.99)],
        "lag_samples": len(ordered),
        "cancel_ms": statistics.median(cancels),
        "cancel_max_ms": max(cancels),
    }


def order(url: str) -> Order:
    return Order(url=MediaUrl.parse(url), selection=Selection.of("video"), origin=Origin.API)


async def finished(service: Service, url: str) -> None:
    job, _ = await service.downloads.submit(order(url))
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


if __name__ == "__main__":
    result = asyncio.run(measure(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(result))
