"""`YtDlpFetcher`: the service's `Fetcher`, on yt-dlp in worker processes, and on gallery-dl for pictures."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scraper import answers
from scraper.egress import EgressPolicy
from scraper.extractions import Extractions
from scraper.forks import ProcessGone, Worker
from scraper.galleries import Galleries
from scraper.tools import Tool, inventory
from scraper.wire import JobSpec, ListSpec, LookSpec
from scraper.workers import Proxy, ScraperConfig, WorkerPool
from service.descriptions import Description
from service.errors import (
    AddressNotAllowed,
    FetchAddressRefused,
    FetchFailed,
    NetworkFailed,
    PicturesUnsupported,
    TimeLimit,
    Unsupported,
    WorkerDied,
)
from service.fetching import Fetched, FetchRequest, FetchWatcher, Listed, ListingRequest, ListingWatcher
from service.media_url import MediaUrl
from service.model import Validators
from service.selection import MediaType

_log = logging.getLogger("magpie.scraper")
_VALIDATOR_SECONDS = 30
_LOOK_SECONDS = 90
_PAGE_SECONDS = 90
_THUMBNAIL_SECONDS = 30
_RESOLVE_SECONDS = 10


class YtDlpFetcher:
    """`start` before the first fetch, `stop` at the end. What a fetch left when it did not succeed is removed."""

    def __init__(self, config: ScraperConfig) -> None:
        self._config = config
        self._policy = config.policy
        self.pool = WorkerPool(config)
        self.galleries = Galleries(config, self.pool)
        self._extractions = Extractions(config.state_directory.absolute() / "extractions")
        self._looks = config.state_directory.absolute() / "looks"
        self._listings = {False: asyncio.Semaphore(1), True: asyncio.Semaphore(1)}
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def policy(self) -> EgressPolicy:
        """Which addresses may be reached."""
        return self._policy

    def inventory(self) -> list[Tool]:
        """The programs that downloads which begin now use. Runs some of them; blocks for up to half a second."""
        return inventory(self.pool.extractors)

    async def start(self) -> None:
        """Returns at once: the workers get warm behind, and a fetch waits for that."""
        await self.pool.start()
        await asyncio.to_thread(self._clear_up)

    async def ready(self) -> None:
        """Returns when the workers are warm."""
        await self.pool.ready()

    async def stop(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        await self.pool.stop()

    async def fetch(self, request: FetchRequest, watcher: FetchWatcher) -> Fetched | None:
        self._refuse_literal(request.url)
        fetched = None
        try:
            if request.selection.media_type is MediaType.PICTURE:
                fetched = await self.galleries.fetch(request, watcher)
            else:
                fetched = await self._fetch(request, watcher)
        except ProcessGone as gone:
            raise WorkerDied from gone
        except TimeoutError as late:
            raise TimeLimit from late
        finally:
            if fetched is None:
                _emptied(request.directory)
        return fetched

    async def describe(self, url: MediaUrl, trust_class: str = "public", cookies: str | None = None) -> Description:
        self._refuse_literal(url)
        answer: dict[str, Any] = {}
        async with self._scratch() as directory:
            spec = LookSpec(
                url=url.text,
                digest=url.digest,
                directory=str(directory),
                kept=str(self._extractions.place(url.text, trust_class)),
                max_items=self._config.max_items,
                cookies=cookies,
            )
            try:
                answer = await self._asked(spec.to_message(), trust_class, _LOOK_SECONDS)
                found = answers.described(answer)
            except (Unsupported, PicturesUnsupported) as nothing:
                return await self._pictures(url, directory, nothing, cookies)
            finally:
                self._sweep_later()
            if answer.get("has_sound_only"):
                with contextlib.suppress(FetchFailed):
                    return await self._pictures(url, directory, Unsupported(), cookies)
        return found

    async def listing(self, request: ListingRequest, watcher: ListingWatcher) -> Listed:
        self._refuse_literal(request.url)
        # One of each sort at a time: people who wait for a description come first.
        async with self._listings[request.is_gallery], self._scratch() as directory:
            try:
                if request.is_gallery:
                    return await self.galleries.listing(request, watcher, directory)
                return await self._listing(request, watcher, directory)
            except ProcessGone as gone:
                raise WorkerDied from gone

    async def thumbnail(self, file: Path) -> bytes | None:
        async with self._scratch() as directory:
            try:
                return answers.picture(await self._asked(_thumbnail_order(file, directory), "public", _THUMBNAIL_SECONDS))
            except FetchFailed as failure:
                _log.info("no thumbnail: %s", failure.code)
                return None

    async def validators(self, url: MediaUrl, trust_class: str = "public") -> Validators:
        self._refuse_literal(url)
        answer = await self._asked({"do": "validators", "url": url.text}, trust_class, _VALIDATOR_SECONDS, looks=False)
        if answer["event"] != "validators":
            raise answers.failure(answer)
        return Validators(etag=answer["etag"], last_modified=answer["last_modified"], length=answer["length"])

    async def check_address(self, url: MediaUrl) -> None:
        if self._policy.blocks(url.host):
            raise AddressNotAllowed
        port = _port(url)
        if _is_literal(url.host):
            if not self._policy.permits(url.host, port):
                raise AddressNotAllowed
            return
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            return
        if not all(self._policy.permits(str(entry[4][0]), port) for entry in found):
            raise AddressNotAllowed

    # --- workers -------------------------------------------------------------------------------------------------

    async def _fetch(self, request: FetchRequest, watcher: FetchWatcher) -> Fetched | None:
        async with self.pool.worker(request.trust_class) as worker:  # noqa: SIM117 - waiting for a free worker takes none of the job's time
            async with asyncio.timeout(request.bounds.max_time.total_seconds()), contextlib.AsyncExitStack() as proxies:
                kept = self._extractions.fresh(request.url.text, request.trust_class)
                await worker.send(_spec(request, kept).to_message())
                answer = await self._conversation(worker, watcher, proxies)
        try:
            return answers.fetched(request, answer)
        except PicturesUnsupported:
            # Which is not so where pictures can be fetched: they were just not asked for.
            if self.galleries.is_installed:
                raise Unsupported from None
            raise

    async def _conversation(self, worker: Worker, watcher: FetchWatcher, proxies: contextlib.AsyncExitStack) -> dict[str, Any]:
        """Until the worker's last word, which is returned."""
        proxy: Proxy | None = None
        while True:
            message = await worker.receive()
            match message["event"]:
                case "identified":
                    go = await watcher.identified(answers.identified(message))
                    await worker.send({"answer": "go" if go else "stop"})
                case "progress":
                    await watcher.progressed(answers.progress(message))
                case "need_proxy":
                    if proxy is None:
                        proxy = await proxies.enter_async_context(self.pool.proxy())
                    await worker.send({"proxy": proxy.port})
                case "failed" if proxy is not None and await proxy.has_refused():
                    # ffmpeg tells only that it got no answer; why is known to the proxy.
                    return {**message, "code": FetchAddressRefused.code}
                case _:
                    return message

    async def _listing(self, request: ListingRequest, watcher: ListingWatcher, directory: Path) -> Listed:
        spec = ListSpec(url=request.url.text, directory=str(directory), with_dates=request.with_dates, cookies=request.cookies)
        async with self.pool.worker(request.trust_class, looks=True) as worker:
            await worker.send(spec.to_message())
            while True:
                # What the watcher takes is not the site's time.
                try:
                    async with asyncio.timeout(_PAGE_SECONDS):
                        message = await worker.receive()
                except TimeoutError as late:
                    raise NetworkFailed from late
                if message["event"] != "items":
                    break
                wants_more = await watcher.found([answers.found(item) for item in message["items"]])
                await worker.send({"answer": "go" if wants_more else "stop"})
        return answers.listed(message)

    async def _asked(self, order: dict[str, Any], trust_class: str, seconds: float, *, looks: bool = True) -> dict[str, Any]:
        """A worker's one answer. Raises `WorkerDied`, `NetworkFailed` when it takes too long."""
        try:
            async with self.pool.worker(trust_class, looks=looks) as worker, asyncio.timeout(seconds):
                await worker.send(order)
                return await worker.receive()
        except ProcessGone as gone:
            raise WorkerDied from gone
        except TimeoutError as late:
            raise NetworkFailed from late

    async def _pictures(self, url: MediaUrl, directory: Path, nothing: FetchFailed, cookies: str | None) -> Description:
        """What gallery-dl finds where yt-dlp found `nothing`; raises that when it finds nothing either."""
        if not self.galleries.is_installed:
            raise nothing
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                found = await self.galleries.describe(url, directory, cookies)
                if found is None:
                    raise Unsupported
                order = {"do": "picture", "urls": found.first_addresses, "referer": url.text, "directory": str(directory)}
                answer = await self._asked(order, "public", _LOOK_SECONDS)
        except ProcessGone as gone:
            raise WorkerDied from gone
        except TimeoutError as late:
            raise NetworkFailed from late
        return replace(found.description, picture=answers.picture(answer))

    @contextlib.asynccontextmanager
    async def _scratch(self) -> AsyncIterator[Path]:
        """A directory of this moment's own."""
        directory = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._looks))
        try:
            yield directory
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True))

    async def forget(self) -> None:
        """What sites said of addresses: account numbers are other people's from now on."""
        await asyncio.to_thread(self._extractions.clear)

    def _clear_up(self) -> None:
        """What a service that was killed left behind. What is young may be in use beside us."""
        self._extractions.sweep()
        self._looks.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._looks.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > self._extractions.kept_for.total_seconds():
                    shutil.rmtree(left, ignore_errors=True)

    def _sweep_later(self) -> None:
        """Remove what expires also when nobody asks for anything any more."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._extractions.sweep()
        self._sweep = asyncio.get_running_loop().call_later(self._extractions.kept_for.total_seconds() + 1, self._extractions.sweep)

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


def _spec(request: FetchRequest, kept: Path | None) -> JobSpec:
    return JobSpec(
        url=request.url.text,
        digest=request.url.digest,
        selection=request.selection.key,
        language=request.selection.language,
        directory=str(request.directory.absolute()),
        max_bytes=request.bounds.max_bytes,
        max_duration=request.bounds.max_duration.total_seconds(),
        kept=None if kept is None else str(kept),
        cookies=request.cookies,
    )


def _thumbnail_order(file: Path, directory: Path) -> dict[str, Any]:
    return {"do": "thumbnail", "path": str(file.absolute()), "directory": str(directory)}


def _emptied(directory: Path) -> None:
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
