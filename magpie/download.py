"""`magpie download`: one link on the command line, beside a running service or alone."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from magpie.cli import FAILED, OK, USAGE, say, show_json
from magpie.config import Config, ConfigError
from magpie.logs import set_up_logs
from magpie.parts import RandomIds, SystemClock, lock_file, make_data_dir, make_fetcher, make_media, make_policy, make_secrets
from scraper.fetcher import YtDlpFetcher
from service.downloads import Downloads, Order
from service.errors import EngineBusy, InvalidSelection, InvalidUrl, JobNotLive, MagpieError, fetch_failure
from service.events import JobEventBus
from service.limits import NoQuota
from service.media_url import MediaUrl
from service.model import Job, JobFile, JobStatus, Origin
from service.ports import Engine, Media, Vault
from service.selection import FORMATS, MediaType, Selection
from storage.database import SqlDatabase
from storage.engine_lock import EngineLock
from storage.migrate import DatabaseUnusable, upgrade
from storage.queue import QueueClient
from storage.worker_lock import engine_runs

LOOK_EVERY = 0.2
"""Seconds between two looks at the row of a job that another process runs."""


async def download_one(
    config: Config,
    url: str,
    *,
    media_type: str | None,
    form: str | None,
    quality: str | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """Returns the exit status."""
    if output is not None and not await asyncio.to_thread(_can_take, output):
        say(f"{output} cannot be written: there is no directory {output.parent}")
        return USAGE
    try:
        order = Order(url=MediaUrl.parse(url), selection=Selection.of(media_type or _kind_of(form), form, quality), origin=Origin.CLI)
        make_data_dir(config)
        secrets = make_secrets(config)
        set_up_logs(config.log_format, secrets=secrets.texts, level=logging.ERROR)
        async with _workplace(config, secrets.vault) as place:
            return await place.do(order, output, as_json=as_json)
    except (InvalidUrl, InvalidSelection) as wrong:
        say(str(wrong))
        return USAGE
    except (MagpieError, ConfigError, DatabaseUnusable, OSError) as wrong:
        say(str(wrong))
        return FAILED


def _can_take(output: Path) -> bool:
    return output.is_dir() or output.absolute().parent.is_dir()


def _kind_of(form: str | None) -> str:
    """A format says what is wanted; without one it is the video. Raises `InvalidSelection`."""
    if form is None:
        return MediaType.VIDEO
    for kind, formats in FORMATS.items():
        if form in formats:
            return kind
    every = ", ".join(one for formats in FORMATS.values() for one in formats)
    raise InvalidSelection("format", f"format must be one of: {every}")


@asynccontextmanager
async def _workplace(config: Config, vault: Vault) -> AsyncIterator[_Workplace]:
    """Beside a running service the job goes through its queue; with none running, this process runs it meanwhile."""
    file = lock_file(config)
    lock = EngineLock(file) if file else None
    async with AsyncExitStack() as closing:
        fetcher = make_fetcher(config)
        if lock:
            closing.callback(lock.release)
        alone = _taken(lock) if lock else not await engine_runs(config.database)
        await upgrade(config.database)
        client = None if alone else await asyncio.to_thread(QueueClient, config.database)
        if client is None:
            await fetcher.start()
            closing.push_async_callback(fetcher.stop)
        else:
            closing.push_async_callback(client.close)
        database = SqlDatabase(config.database, client, vault)
        closing.push_async_callback(database.close)
        yield _Workplace(config, database, client, fetcher)


def _taken(lock: EngineLock) -> bool:
    try:
        lock.take()
    except EngineBusy:
        return False
    return True


class _Workplace:
    """Submits one job and follows it to its end. Without an engine it runs the job itself."""

    def __init__(self, config: Config, database: SqlDatabase, engine: Engine | None, fetcher: YtDlpFetcher) -> None:
        self._media: Media = make_media(config)
        self._alone = engine is None
        self._downloads = Downloads(
            database=database,
            engine=engine,
            fetcher=fetcher,
            media=self._media,
            events=JobEventBus(),
            quota=NoQuota(),
            clock=SystemClock(),
            ids=RandomIds(),
            policy=make_policy(config),
        )

    async def do(self, order: Order, output: Path | None, *, as_json: bool) -> int:
        """Raises `MagpieError` when the job is not accepted."""
        job, _ = await self._downloads.submit(order)
        interrupted = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
        running = asyncio.create_task(self._downloads.run(job.id)) if self._alone and job.status.is_live else None
        job = await self._follow(job, interrupted, quiet=as_json)
        if running:
            await running
        files = await self._downloads.files(job)
        paths = [await self._deliver(file, output) for file in files]
        if as_json:
            show_json(_told(job, files, paths))
        else:
            _tell(job, paths)
        return OK if job.status is JobStatus.COMPLETED else FAILED

    async def _follow(self, job: Job, interrupted: asyncio.Event, *, quiet: bool) -> Job:
        with _bar(quiet=quiet) as bar:
            task = bar.add_task("waiting", total=None)
            while job.status.is_live:
                if interrupted.is_set():
                    return await self._cancel(job)
                await asyncio.sleep(LOOK_EVERY)
                job = await self._downloads.get(job.id)
                title = (job.title or job.url.shown)[:50]
                bar.update(task, description=f"{title} · {job.progress.phase}", completed=job.progress.downloaded, total=job.progress.total)
        return job

    async def _cancel(self, job: Job) -> Job:
        try:
            return await self._downloads.cancel(job.id)
        except JobNotLive:
            return await self._downloads.get(job.id)

    async def _deliver(self, file: JobFile, output: Path | None) -> str:
        """Where the file is: below the media root, or the copy that was asked for."""
        if output is None:
            local = self._media.local_path(file.path)
            return str(local) if local else file.path
        target = output / file.name if await asyncio.to_thread(output.is_dir) else output
        part = target.with_name(f".{target.name}.part")
        local = self._media.local_path(file.path)
        if local:
            await asyncio.to_thread(shutil.copyfile, local, part)
        else:
            with part.open("wb") as copy:
                async for chunk in self._media.read(file.media.location, 0, file.media.size):
                    copy.write(chunk)
        part.replace(target)
        return str(target)


def _bar(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet)


def _tell(job: Job, paths: list[str]) -> None:
    if job.status is JobStatus.COMPLETED:
        for path in paths:
            Console().print(path, highlight=False, soft_wrap=True, markup=False)
    elif job.status is JobStatus.CANCELLED:
        say("Cancelled.")
    else:
        advice = fetch_failure(job.error_code or "").advice
        say(" ".join(part for part in (job.error_message, advice, f"(job {job.id})") if part))


def _told(job: Job, files: list[JobFile], paths: list[str]) -> dict[str, Any]:
    return {
        "job_id": str(job.id),
        "status": job.status.value,
        "title": job.title,
        "artist": job.artist,
        "code": job.error_code,
        "error": job.error_message,
        "files": [
            {"name": file.name, "size": file.media.size, "kind": file.media.kind.folder, "path": path}
            for file, path in zip(files, paths, strict=True)
        ],
    }
