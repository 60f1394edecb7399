"""Posts of pictures: gallery-dl finds and fetches them, as a program of its own behind the filtering proxy. It is optional."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scraper import answers
from scraper.gallery_listing import ARTISTS, GalleryListing, first_text
from scraper.gallery_run import Run, Said
from scraper.words import clean
from scraper.workers import Proxy, ScraperConfig, WorkerPool
from service.descriptions import Description, DescriptionKind
from service.errors import FetchAddressRefused, FetchFailed, NetworkFailed, PicturesUnsupported, TooManyItems, Unsupported, fetch_failure
from service.fetching import Fetched, FetchRequest, FetchWatcher, Identified, Listed, ListingRequest, ListingWatcher
from service.media_url import MediaUrl
from service.model import Phase, Progress

_log = logging.getLogger("magpie.scraper")
_LISTING_BYTES = 64 * 1024 * 1024
_PAGE_SECONDS = 90
_URL, _ERROR = 3, -1
_NO_EXTRACTOR = 64
_FIRST = 3
_TITLES = ("title", "description", "content", "caption", "text", "gallery_title", "album")
_STATUS = re.compile(r"'(\d{3})\b")
_STATUS_CODES = {
    401: "sign_in_needed",
    403: "sign_in_needed",
    404: "no_such_video",
    410: "no_such_video",
    429: "throttled",
    451: "geo_blocked",
}
_ERROR_CODES = {
    "AuthRequired": "sign_in_needed",
    "AuthorizationError": "sign_in_needed",
    "AuthenticationError": "sign_in_needed",
    "ChallengeError": "sign_in_needed",
    "NotFoundError": "no_such_video",
    "NoExtractorError": "unsupported",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a post is said to hold. `first_addresses` are the first of its files'."""

    description: Description
    first_addresses: tuple[str, ...]


class Galleries:
    """Nothing here works where gallery-dl is not installed: look at `is_installed` first."""

    def __init__(self, config: ScraperConfig, pool: WorkerPool) -> None:
        self._config = config
        self._pool = pool
        self._places = asyncio.Semaphore(config.width)
        self._looks = asyncio.Semaphore(config.looks)

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec("gallery_dl") is not None

    async def describe(self, url: MediaUrl, scratch: Path, cookies: str | None = None) -> Post | None:
        """None when it holds no pictures. Raises `FetchFailed` when that cannot be said, `ProcessGone`."""
        async with self._looks, self._pool.proxy() as proxy:
            return await self._listed(url, self._run(scratch, proxy, _LISTING_BYTES, cookies), proxy)

    async def listing(self, request: ListingRequest, watcher: ListingWatcher, scratch: Path) -> Listed:
        """Raises `FetchFailed`, `ProcessGone`."""
        if not self.is_installed:
            raise PicturesUnsupported
        async with self._looks, self._pool.proxy() as proxy:
            run = self._run(scratch, proxy, _LISTING_BYTES, request.cookies)

            async def posts_at(address: str, posts: range) -> list[Any]:
                try:
                    async with asyncio.timeout(_PAGE_SECONDS):
                        return await _messages(await run.list(address, posts), proxy)
                except TimeoutError as late:
                    raise NetworkFailed from late

            return await GalleryListing(request.url, watcher, posts_at).run()

    async def fetch(self, request: FetchRequest, watcher: FetchWatcher) -> Fetched | None:
        """Raises `FetchFailed`, `ProcessGone`, `TimeoutError`."""
        if not self.is_installed:
            raise PicturesUnsupported
        async with (
            self._places,
            asyncio.timeout(request.bounds.max_time.total_seconds()),
            self._pool.proxy() as proxy,
            _scratch(request) as scratch,
        ):
            run = self._run(scratch, proxy, request.bounds.max_bytes, request.cookies)
            post = await self._listed(request.url, run, proxy)
            if post is None:
                raise Unsupported
            if (post.description.count or 0) > self._config.max_items:
                raise TooManyItems
            if not await watcher.identified(_identified(post.description)):
                return None
            pictures = scratch / "pictures"
            pictures.mkdir()

            async def watch(came: int) -> None:
                await watcher.progressed(Progress(phase=Phase.DOWNLOADING, downloaded=came))

            said = await run.download(request.url.text, pictures, watch)
            if await proxy.has_refused():
                raise FetchAddressRefused
            return await self._sorted(request, post, pictures, said)

    async def _listed(self, url: MediaUrl, run: Run, proxy: Proxy) -> Post | None:
        messages = await _messages(await run.list(url.text), proxy)
        files = [message for message in messages if message[0] == _URL and str(message[1]).startswith(("http://", "https://"))]
        return _post(url, files) if files else None

    async def _sorted(self, request: FetchRequest, post: Post, pictures: Path, said: Said) -> Fetched:
        """Moved into the request's directory; what is neither picture nor video is gone."""
        names = [Path(line).name for line in said.output.decode("utf-8", "replace").splitlines() if not line.startswith("# ")]
        order = {"do": "sort", "names": names, "directory": str(pictures), "max_bytes": request.bounds.max_bytes}
        async with self._pool.worker(request.trust_class) as worker:
            await worker.send(order)
            answer = await worker.receive()
        if answer["event"] != "sorted":
            raise answers.failure(answer)
        if not answer["files"]:
            _log.info("gallery-dl brought nothing (status %s)", said.status)
            raise fetch_failure("network" if said.status else "unsupported")
        if len(answer["files"]) < (post.description.count or 0) and said.status:
            _log.info("gallery-dl brought %s of %s files", len(answer["files"]), post.description.count)
        for file in answer["files"]:
            (pictures / file["name"]).rename(request.directory / file["name"])
        found = post.description
        return Fetched(files=answers.files(request.directory, answer["files"]), title=found.title, artist=found.artist)

    def _run(self, scratch: Path, proxy: Proxy, max_bytes: int, cookies: str | None = None) -> Run:
        return Run(
            scratch=scratch,
            home=self._config.state_directory.absolute() / "home",
            port=proxy.port,
            plugin_dirs=self._config.plugin_dirs,
            max_items=self._config.max_items,
            max_bytes=max_bytes,
            cookies=cookies,
        )


async def _messages(said: Said, proxy: Proxy) -> list[Any]:
    """What gallery-dl found, in its words. Raises `FetchFailed` for what it could not find."""
    if await proxy.has_refused():
        raise FetchAddressRefused
    try:
        messages: list[Any] = json.loads(said.output or b"[]")
    except ValueError:
        messages = []
    for message in messages:
        if message[0] == _ERROR:
            raise _failure(message[1])
    if not messages and said.status & _NO_EXTRACTOR:
        raise Unsupported
    return messages


@contextlib.asynccontextmanager
async def _scratch(request: FetchRequest) -> AsyncIterator[Path]:
    """Within the request's directory, so that files are only renamed in the end."""
    with tempfile.TemporaryDirectory(prefix="gallery-", dir=request.directory.absolute()) as directory:
        yield Path(directory)


def _post(url: MediaUrl, files: list[Any]) -> Post:
    about: Mapping[str, Any] = files[0][2]
    said = about.get("count")
    description = Description(
        kind=DescriptionKind.PICTURES,
        extractor=f"gallery-dl:{about.get('category')}",
        id=url.digest,
        # A bare file may change under its address; a post is what it is.
        is_generic=about.get("category") == "directlink",
        title=first_text(about, _TITLES) or _last_of(url),
        artist=first_text(about, ARTISTS),
        count=max(len(files), said) if isinstance(said, int) else len(files),
    )
    return Post(description=description, first_addresses=tuple(str(file[1]) for file in files[:_FIRST]))


def _last_of(url: MediaUrl) -> str:
    return clean(url.shown.rstrip("/").rpartition("/")[2].partition("?")[0]) or "pictures"


def _identified(found: Description) -> Identified:
    return Identified(extractor=found.extractor, id=found.id, title=found.title, artist=found.artist, is_generic=found.is_generic)


def _failure(said: Mapping[str, Any]) -> FetchFailed:
    """Of gallery-dl's errors the name tells most, of an HTTP error its status."""
    name, message = str(said.get("error")), str(said.get("message"))
    status = _STATUS.match(message)
    code = _ERROR_CODES.get(name) or (_STATUS_CODES.get(int(status[1]), "network") if status else None)
    return answers.failure({"code": code or ("network" if name == "HttpError" else "unsupported"), "detail": f"gallery-dl: {name}"})
