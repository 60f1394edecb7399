"""`Zygotes`: the zygote that new processes come from. Another one follows when it dies, and when a fresh yt-dlp was chosen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from scraper.egress import EgressPolicy
from scraper.equipment import Equipment
from scraper.extractors import FreshExtractors
from scraper.forks import ProcessGone, Zygote, spawn_zygote
from scraper.tools import find_deno, find_ffmpeg

_log = logging.getLogger("magpie.scraper")
_MAX_PAUSE = 30.0
_LOOK_SECONDS = 2.0
_AGAIN_SECONDS = 1.0


class Zygotes:
    """`start`, then `living` as often as wanted, then `stop`."""

    def __init__(
        self, equip: Callable[[], Equipment], extractors: FreshExtractors | None, warm_seconds: float, replaced: Callable[[], None]
    ) -> None:
        """`replaced` is called when new processes come from another zygote from now on. `warm_seconds` has one with fresh extractors;
        the environment's may take its time.
        """
        self._equip = equip
        self._extractors = extractors
        self._warm_seconds = warm_seconds
        self._replaced = replaced
        self._living: Zygote | None = None
        self._old: dict[Zygote, asyncio.Task[None]] = {}
        self._in_use: dict[Zygote, contextlib.ExitStack] = {}
        self._changed = asyncio.Condition()
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._seen: tuple[int, int] | None = None
        self._refused: tuple[int, int] | None = None

    async def start(self) -> None:
        """Start one, from this thread: it dies with the thread that started it. Returns before it is warm."""
        equipment = await asyncio.to_thread(self._equip)
        # Known before the task has run: a stop may come first.
        self._living = await self._spawned(equipment, await asyncio.to_thread(self._choose))
        self._keeper = asyncio.create_task(self._keep(equipment, self._living), name="zygote-keeper")

    async def settle(self) -> None:
        """None follows from now on: whoever waits for one that lives gets `ProcessGone`."""
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        async with self._changed:
            self._changed.notify_all()

    async def stop(self) -> None:
        """After `settle`, and when the processes that came from them have gone."""
        for retiring in self._old.values():
            retiring.cancel()
        await asyncio.gather(*self._old.values(), return_exceptions=True)
        for zygote in list(self._in_use):
            await self._ended(zygote)

    @property
    def now(self) -> Zygote | None:
        """The one that new processes come from."""
        return self._living

    def pids(self) -> list[int]:
        """The present one, then those that only wait for their last processes."""
        return [zygote.process.pid for zygote in (self._living, *self._old) if zygote is not None]

    async def living(self) -> Zygote:
        """Waits while one is being started. It may still be heating: what is asked of it then waits. Raises `ProcessGone`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._stopping or (self._living is not None and not self._living.ended.is_set()))
        if self._stopping or self._living is None:
            raise ProcessGone
        return self._living

    # --- one after the other -------------------------------------------------------------------------------------

    async def _keep(self, equipment: Equipment, zygote: Zygote) -> None:
        """Start another one whenever it dies, slower each time when it does not live long; and when another yt-dlp is chosen."""
        pause = 0.1
        while True:
            await self._let_in(zygote)
            began = time.monotonic()
            fresh = await self._successor(equipment, zygote)
            if fresh is not None:
                self._old[zygote] = asyncio.create_task(self._outlived(zygote), name="zygote-retires")
                zygote = fresh
                continue
            if zygote.news.problem is not None:
                _log.error("the zygote could not start: %s", zygote.news.problem)
            await self._ended(zygote)
            if zygote.place is None or zygote.news.version is not None:
                _log.error("the zygote ended with status %s; starting another", zygote.process.returncode)
                pause = 0.1 if time.monotonic() - began > _MAX_PAUSE else min(_MAX_PAUSE, pause * 2)
                await asyncio.sleep(pause)
            else:
                _log.error("yt-dlp in %s does not start: falling back to the one that Magpie came with", zygote.place)
                await self._withdraw(zygote.place, None)
            zygote = await self._another(equipment)

    async def _another(self, equipment: Equipment) -> Zygote:
        """Tried until there is one: without it nothing would ever be downloaded again."""
        while True:
            try:
                return await self._spawned(equipment, await asyncio.to_thread(self._choose))
            except OSError as wrong:
                _log.error("no other zygote can be started, trying again: %s", wrong)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _let_in(self, zygote: Zygote) -> None:
        self._living = zygote
        self._replaced()
        async with self._changed:
            self._changed.notify_all()

    async def _successor(self, equipment: Equipment, zygote: Zygote) -> Zygote | None:
        """A warm one with the yt-dlp that was chosen meanwhile; None when this one has ended, or did not get warm in time."""
        if zygote.place is not None and not await self._gets_warm(zygote):
            return None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await zygote.ended.wait()
            if zygote.ended.is_set():
                return None
            if self._extractors is not None and self._extractors.stamp() != self._seen:
                place = await asyncio.to_thread(self._choose)
                fresh = await self._warmed(equipment, place, zygote.place) if place != zygote.place else None
                if fresh is not None:
                    return fresh

    async def _warmed(self, equipment: Equipment, place: Path | None, before: Path | None) -> Zygote | None:
        """One that is warm; None when it does not get so. Then things are as they were before."""
        try:
            fresh = await self._spawned(equipment, place)
        except OSError as wrong:
            _log.error("no other zygote can be started: %s", wrong)
            self._seen = None  # the next look tries again
            return None
        if await self._gets_warm(fresh):  # a stop meanwhile ends it too
            _log.info("downloads that begin from now on use yt-dlp %s", fresh.news.version)
            return fresh
        await self._ended(fresh)
        _log.error("yt-dlp in %s does not start (%s): the one before stays", place, fresh.news.problem or "no word from it")
        if place is not None:
            await self._withdraw(place, before)
        return None

    async def _gets_warm(self, zygote: Zygote) -> bool:
        try:
            async with asyncio.timeout(self._warm_seconds):
                return await zygote.warm()
        except TimeoutError:
            return False

    async def _outlived(self, zygote: Zygote) -> None:
        """Its processes die with it, so it stays until the last one is gone."""
        waits = [asyncio.create_task(event.wait()) for event in (zygote.unused, zygote.ended)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        del self._old[zygote]
        await self._ended(zygote)

    async def _spawned(self, equipment: Equipment, place: Path | None) -> Zygote:
        held = contextlib.ExitStack()
        if place is not None and self._extractors is not None:
            try:
                held.enter_context(self._extractors.used(place))
            except OSError as gone:
                _log.error("yt-dlp in %s cannot be used: %s", place, gone)
                place = None
        try:
            zygote = await spawn_zygote(equipment, place)
        except BaseException:
            held.close()
            raise
        self._in_use[zygote] = held
        return zygote

    async def _ended(self, zygote: Zygote) -> None:
        await zygote.stop()
        if held := self._in_use.pop(zygote, None):
            held.close()

    # --- which yt-dlp --------------------------------------------------------------------------------------------

    def _choose(self) -> Path | None:
        if self._extractors is None:
            return None
        self._seen = self._extractors.stamp()
        if self._seen is not None and self._seen == self._refused:
            return None
        if self._extractors.is_broken:
            _log.error("%s names no yt-dlp that is there: using the one that Magpie came with", self._extractors.root / "current")
        return self._extractors.chosen()

    async def _withdraw(self, place: Path, instead: Path | None) -> None:
        if self._extractors is None:
            return
        self._refused = self._seen  # should it stay chosen, on a disk that takes no changes, it is not tried again
        try:
            await asyncio.to_thread(self._extractors.withdraw, place, instead)
        except OSError as wrong:
            _log.error("%s cannot be put back: %s", self._extractors.root / "current", wrong)


def equip(state_directory: Path, policy: EgressPolicy, plugin_dirs: tuple[Path, ...]) -> Equipment:
    """Makes the directories, and the links in our own one, which is all that stands on the workers' PATH before the system's."""
    state_directory = state_directory.absolute()
    for folder in ("cache", "bin", "home"):
        (state_directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    ffmpeg = state_directory / "bin" / "ffmpeg"
    fresh = ffmpeg.with_name(f".ffmpeg-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(find_ffmpeg())
    fresh.replace(ffmpeg)
    deno = find_deno()
    return Equipment(
        policy=policy,
        state_directory=state_directory,
        ffmpeg=str(ffmpeg),
        deno=str(deno) if deno else None,
        plugin_dirs=tuple(str(path.absolute()) for path in plugin_dirs),
    )
