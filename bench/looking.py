"""Those who look at jobs of a running service: readers of its events, and the bare handler that its answers are compared with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.house import Magpie, free_port

READERS, WARM = 500, 20
SECONDS = 10
ANSWERS = 1000
"""Asked for in a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What the readers of one job heard, each a list of `seq` and time, and the service's megabytes without and with them."""

    job_id: str
    heard: list[list[tuple[int, float]]]
    begun: float
    without: float
    with_them: float


class Crowd:
    """Readers of one job that tells of its progress twice a second, until it is cancelled."""

    def __init__(self, service: Magpie, site: str, directory: Path) -> None:
        self._service, self._site, self._directory = service, site, directory

    def follow(self, count: int) -> Followed:
        """A few come and go before: what the first one needs is not a reader's."""
        with self._joined(WARM) as (job_id, _):
            time.sleep(2)
            self._service.cancel(job_id)
        time.sleep(2)
        without = self._service.service_pss()
        with self._joined(count) as (job_id, answer):
            begun = time.monotonic()
            time.sleep(SECONDS)
            with_them = self._service.service_pss()
            self._service.cancel(job_id)
        heard = json.loads(answer.read_text())
        return Followed(job_id=job_id, heard=heard, begun=begun, without=without, with_them=with_them)

    @contextmanager
    def _joined(self, count: int) -> Iterator[tuple[str, Path]]:
        """Once all have had an event; at the end, all are gone."""
        job_id = self._service.submit(f"{self._site}/throttled/50/blob/{47_000_000 + count}.mp4")
        self._service.reached(job_id, "processing")
        path = self._service.get(f"/api/jobs/{job_id}")[1]["events_url"].partition(str(self._service.port))[2]
        answer = self._directory / f"heard{count}.json"
        command = [sys.executable, "-m", "bench.readers", str(self._service.port), path, str(count), str(answer)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as readers:
            assert readers.stdout is not None
            if readers.stdout.readline() != "joined\n":
                raise RuntimeError("the readers did not get in")
            yield job_id, answer
            readers.wait(60)


def delays_of(notes: Path, seen: Followed) -> list[float]:
    """Milliseconds from when an event is published until the last reader has it.

    Published is the call that tells the service's listeners; had is when the bytes are out of the reader's socket. Progress may be
    skipped for newer progress, which then counts. What happened while readers still joined does not count.
    """
    lines = [line.split() for line in notes.read_text().splitlines()]
    published = [(int(seq), float(at)) for job_id, seq, at in lines if job_id == seen.job_id and float(at) > seen.begun]
    delays = []
    for seq, at in published:
        had = []
        for events in seen.heard:
            place = bisect_left(events, seq, key=lambda event: event[0])
            if place == len(events):
                raise RuntimeError(f"a reader never heard of {seq}")
            had.append(events[place][1])
        delays.append((max(had) - at) * 1e3)
    return delays


# --- the bare handler -------------------------------------------------------------------------------------------------


@contextmanager
def bare_job(magpie: Magpie) -> Iterator[int]:
    """Its port; it reads the service's own database."""
    port = free_port()
    database = f"sqlite:///{magpie.directory.absolute()}/magpie.db"
    process = subprocess.Popen([sys.executable, "-m", "bench.bare_job", database, str(port)])
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
        except urllib.request.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the bare handler did not start")


def check_same(port: int, bare_port: int, path: str) -> None:
    """Raises `RuntimeError` unless both answer the same, ports and signatures aside. A job may go on between the two."""
    ours, bare = _answer(port, path), _answer(bare_port, path)
    for _ in range(5):
        if ours == bare:
            break
        ours, bare = _answer(port, path), _answer(bare_port, path)
    else:
        wrong = {name: (ours.get(name), bare.get(name)) for name in ours.keys() | bare.keys() if ours.get(name) != bare.get(name)}
        raise RuntimeError(f"the bare handler answers something else: {wrong}")


def _answer(port: int, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read(), object_hook=lambda part: {name: _unsigned(part[name], port) for name in part})
    return found


def _unsigned(value: Any, port: int) -> Any:
    return value.partition("?e=")[0].replace(f":{port}/", "/") if isinstance(value, str) else value
