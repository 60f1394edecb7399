"""Fetches the newest yt-dlp and its solver scripts into a directory of their own, and chooses them once they have proved themselves."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from scraper.egress import EgressPolicy
from scraper.extractors import SOLVER, YTDLP, FreshExtractors, UpdateFailed, order_of, version_in, wanted_solver
from scraper.forks import Zygote, killed, spawn_zygote
from scraper.tools import FfmpegMissing
from scraper.zygotes import equip

P = ParamSpec("P")
T = TypeVar("T")
_PIP_SECONDS = 600.0
_NOT_REACHED = re.compile(r"retrying|connection|timed out|resolve|proxy|certificate|ssl", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """The versions of yt-dlp that were used before, and are from now on."""

    before: str | None
    after: str | None

    @property
    def changed(self) -> bool:
        return self.before != self.after


class Update:
    """One run of it. `plugin_dirs` are those that the new yt-dlp will have to get along with."""

    def __init__(self, extractors: FreshExtractors, plugin_dirs: tuple[Path, ...] = (), *, seconds: float = 60.0) -> None:
        """`seconds` has the new one to prove itself."""
        self._extractors = extractors
        self._plugin_dirs = plugin_dirs
        self._seconds = seconds

    async def run(self) -> Updated:
        """From this thread, as for `spawn_zygote`.

        Raises `UpdateFailed`: then everything is as it was before. A cancellation leaves nothing running and nothing behind.
        """
        extractors = self._extractors
        try:
            with extractors.locked() as lock:
                extractors.note_try()
                await _to_its_end(extractors.tidy)
                with _directory(extractors, ".new-") as fresh:
                    updated = await self._fetched(fresh, lock)
                with contextlib.suppress(OSError):  # it is done; what is left over goes the next time
                    await _to_its_end(extractors.tidy)
                return updated
        except OSError as wrong:
            raise UpdateFailed(f"The extractors in {extractors.root} could not be updated: {wrong.strerror or wrong}.") from wrong
        except FfmpegMissing as missing:
            raise UpdateFailed("There is no ffmpeg to try yt-dlp with: `magpie doctor` says more.") from missing

    async def _fetched(self, fresh: Path, lock: int) -> Updated:
        used = await asyncio.to_thread(self._extractors.chosen)
        before = version_in(used)
        await _install(YTDLP, fresh, lock)
        version = version_in(fresh)
        if version is None or order_of(version) <= order_of(before):
            return Updated(before=before, after=before)
        solver = wanted_solver(fresh)
        if solver is not None:
            await _install(f"{SOLVER}=={solver}", fresh, lock)
        await self._prove(fresh, version)
        await _to_its_end(self._extractors.put, fresh, version, used)
        return Updated(before=before, after=version)

    async def _prove(self, fresh: Path, version: str) -> None:
        """Start a zygote on it, which extracts a page, downloads and converts. Raises `UpdateFailed`."""
        with _directory(self._extractors, ".smoke-") as state:
            equipment = await _to_its_end(equip, state, EgressPolicy(), self._plugin_dirs)
            zygote = await spawn_zygote(equipment, fresh)
            try:
                trouble = await self._trouble_of(zygote, fresh, version)
            finally:
                await zygote.stop()
        if trouble is not None:
            told = " ".join(trouble.split())  # ffmpeg has many lines
            raise UpdateFailed(f"yt-dlp {version} does not work here, so the present one stays: {told}.")

    async def _trouble_of(self, zygote: Zygote, fresh: Path, version: str) -> str | None:
        try:
            async with asyncio.timeout(self._seconds):
                is_warm = await zygote.warm()
        except TimeoutError:
            return f"it did not start within {self._seconds:g} seconds"
        news = zygote.news
        if not is_warm:
            return f"it does not start ({news.problem or 'no word from it'})"
        if order_of(news.version) != order_of(version) or not Path(news.file or "").is_relative_to(fresh):
            return f"what was loaded is {news.version} from {news.file}"
        return "; ".join(news.trouble) or None


@contextlib.contextmanager
def _directory(extractors: FreshExtractors, prefix: str) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=extractors.root))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _to_its_end(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """In a thread. A cancellation waits for it: until then the lock is kept, and what it works on is not cleared away under it."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments, **named))
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as told:
            cancelled = told
    if cancelled is not None:
        work.exception()  # read, or asyncio complains that nobody did
        raise cancelled
    return work.result()


# --- pip --------------------------------------------------------------------------------------------------------------


async def _install(requirement: str, target: Path, lock: int) -> None:
    """Into the directory, from wherever the person's own configuration of pip says. Raises `UpdateFailed`."""
    arguments = ["--target", str(target), "--no-deps", "--only-binary", ":all:", "--no-user", "--no-input", "--quiet", "--no-color"]
    arguments += ["--disable-pip-version-check", "--no-warn-script-location", "--root-user-action", "ignore", "--progress-bar", "off"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-s", "-P", "-m", "pip", "install", *arguments, requirement,
        # It keeps the lock as long as it runs: also when this process is killed, and nobody else would know of it.
        cwd=target, pass_fds=(lock,), start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_PIP_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        raise UpdateFailed(f"{requirement} could not be fetched within {_PIP_SECONDS / 60:g} minutes.") from None
    finally:
        await killed(process)
    if process.returncode:
        raise UpdateFailed(f"{requirement} could not be fetched: {_cause(said.decode(errors='replace'))}.")


def _cause(said: str) -> str:
    """Of what pip says: one clause."""
    errors = [line.removeprefix("ERROR: ").strip().rstrip(".") for line in said.splitlines() if line.startswith("ERROR: ")]
    if "No matching distribution" in said:
        return f"the package index cannot be reached{'' if _NOT_REACHED.search(said) else ', or has none that fits'}"
    return errors[-1] if errors else (said.strip().splitlines() or ["pip ended without a word"])[-1]
