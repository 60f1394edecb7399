"""`YtDlpFetcher`: the service's `Fetcher`, on yt-dlp in worker processes."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import shutil
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scraper.forks import ProcessGone, Worker
from scraper.wire import JobSpec
from scraper.workers import Proxy, ScraperConfig, WorkerPool
from service.errors import AddressNotAllowed, FetchAddressRefused, TimeLimit, WorkerDied, fetch_failure
from service.media_url import MediaUrl
from service.model import MediaType, Phase, Progress, Validators
from service.ports import Fetched, FetchedFile, FetchRequest, FetchWatcher, Identified

_log = logging.getLogger("magpie.scraper")
_VALIDATOR_SECONDS = 30
_RESOLVE_SECONDS = 10


class YtDlpFetcher:
    """`start` before the first fetch, `stop` at the end. What a fetch left when it did not succeed is removed."""

    def __init__(self, config: ScraperConfig) -> None:
        self._policy = config.policy
        self.pool = WorkerPool(config)

    async def start(self) -> None:
        """Returns at once: the workers get warm behind, and a fetch waits for that."""
        await self.pool.start()

    async def ready(self) -> None:
        """Returns when the workers are warm."""
        await self.pool.ready()

    async def stop(self) -> None:
        await self.pool.stop()

    async def fetch(self, request: FetchRequest, watcher: FetchWatcher) -> Fetched | None:
        self._refuse_literal(request.url)
        fetched = None
        try:
            async with self.pool.worker(request.trust_class) as worker:  # noqa: SIM117 - waiting for a free worker takes none of the job's time
                async with asyncio.timeout(request.bounds.max_time.total_seconds()), contextlib.AsyncExitStack() as proxies:
                    await worker.send(_spec(request).to_message())
                    answer = await self._conversation(worker, watcher, proxies)
            fetched = _fetched(request, answer)
        except ProcessGone as gone:
            raise WorkerDied from gone
        except TimeoutError as late:
            raise TimeLimit from late
        finally:
            if fetched is None:
                _emptied(request.directory)
        return fetched

    async def validators(self, url: MediaUrl, trust_class: str = "public") -> Validators:
        self._refuse_literal(url)
        try:
            async with self.pool.worker(trust_class) as worker:
                async with asyncio.timeout(_VALIDATOR_SECONDS):
                    await worker.send({"do": "validators", "url": url.text})
                    answer = await worker.receive()
        except ProcessGone as gone:
            raise WorkerDied from gone
        except TimeoutError as late:
            raise fetch_failure("network") from late
        if answer["event"] != "validators":
            raise _failure(answer)
        return Validators(etag=answer["etag"], last_modified=answer["last_modified"], length=answer["length"])

    async def check_address(self, url: MediaUrl) -> None:
        if self._policy.blocks(url.host):
            raise AddressNotAllowed
        port = _port(url)
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            return
        if not all(self._policy.permits(str(entry[4][0]), port) for entry in found):
            raise AddressNotAllowed

    async def _conversation(self, worker: Worker, watcher: FetchWatcher, proxies: contextlib.AsyncExitStack) -> dict[str, Any]:
        """Until the worker's last word, which is returned."""
        proxy: Proxy | None = None
        while True:
            message = await worker.receive()
            match message["event"]:
                case "identified":
                    go = await watcher.identified(_identified(message))
                    await worker.send({"answer": "go" if go else "stop"})
                case "progress":
                    await watcher.progressed(_progress(message))
                case "need_proxy":
                    if proxy is None:
                        proxy = await proxies.enter_async_context(self.pool.proxy())
                    await worker.send({"proxy": proxy.port})
                case "failed" if proxy is not None and await proxy.has_refused():
                    # ffmpeg tells only that it got no answer; why is known to the proxy.
                    return {**message, "code": FetchAddressRefused.code}
                case _:
                    return message

    def _refuse_literal(self, url: MediaUrl) -> None:
        """An address written out needs no worker to be refused. Names are checked where they are connected to."""
        try:
            ipaddress.ip_address(url.host)
        except ValueError:
            allowed = not self._policy.blocks(url.host)
        else:
            allowed = self._policy.permits(url.host, _port(url))
        if not allowed:
            raise FetchAddressRefused


def _port(url: MediaUrl) -> int:
    parts = urlsplit(url.text)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _spec(request: FetchRequest) -> JobSpec:
    return JobSpec(
        url=request.url.text,
        digest=request.url.digest,
        selection=request.selection.key,
        language=request.selection.language,
        directory=str(request.directory.absolute()),
        max_bytes=request.bounds.max_bytes,
        max_duration=request.bounds.max_duration.total_seconds(),
    )


def _identified(message: dict[str, Any]) -> Identified:
    return Identified(
        extractor=message["extractor"],
        id=message["id"],
        title=message["title"],
        artist=message["artist"],
        duration=_length(message["duration"]),
        size=message["size"],
        is_generic=message["is_generic"],
    )


def _progress(message: dict[str, Any]) -> Progress:
    return Progress(
        phase=Phase(message["phase"]),
        downloaded=message.get("downloaded"),
        total=message.get("total"),
        speed=message.get("speed"),
        eta=message.get("eta"),
    )


def _fetched(request: FetchRequest, answer: dict[str, Any]) -> Fetched | None:
    """None for a stopped one. Raises what the worker says."""
    if answer["event"] == "stopped":
        return None
    if answer["event"] != "done":
        raise _failure(answer)
    files = tuple(
        FetchedFile(
            path=request.directory / Path(file["name"]).name,
            kind=MediaType(file["kind"]),
            extension=file["extension"],
            size=file["size"],
            sha256=file["sha256"],
            duration=_length(file["duration"]),
            width=file["width"],
            height=file["height"],
        )
        for file in answer["files"]
    )
    said = answer["validators"]
    return Fetched(files=files, title=answer["title"], artist=answer["artist"], validators=None if said is None else Validators(**said))


def _failure(answer: dict[str, Any]) -> Exception:
    _log.info("fetch failed: %s (%s)", answer.get("code"), answer.get("detail"))
    return fetch_failure(str(answer.get("code")))


def _length(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=float(seconds))


def _emptied(directory: Path) -> None:
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
