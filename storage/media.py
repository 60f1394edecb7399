"""The media store: plain files on local disk, or objects on S3 behind the same port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from uuid import UUID

from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from service.sweeping import StoredFile

CHUNK = 1 << 20
READ_ONLY = 0o444


class WorkDirectories:
    """A directory a job, below one root; emptied before each use."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def fresh(self, job_id: UUID) -> Path:
        """An empty directory that only this service may read. What was in it is gone."""
        self.discard(job_id)
        directory = self._root / str(job_id)
        directory.mkdir(mode=0o700, parents=True)
        return directory

    def discard(self, job_id: UUID) -> None:
        shutil.rmtree(self._root / str(job_id), ignore_errors=True)

    def ages(self) -> list[tuple[UUID, datetime]]:
        """Each with the time of the last change of anything in it."""
        found = []
        for entry in self._root.iterdir():
            if _is_uuid(entry.name):
                with contextlib.suppress(FileNotFoundError):  # its job ends meanwhile
                    newest = max(one.lstat().st_mtime for one in (entry, *entry.rglob("*")))
                    found.append((UUID(entry.name), datetime.fromtimestamp(newest, UTC)))
        return found

    def names(self) -> list[UUID]:
        """The jobs that have one."""
        return [UUID(entry.name) for entry in self._root.iterdir() if _is_uuid(entry.name)]

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._root).free


class DiskMedia:
    """Plain files below `root`, mode 0444, renamed into place on one file system."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._work = WorkDirectories(self._root / ".work")

    async def adopt(self, file: Path, path: str) -> str:
        """Raises `OSError`; `file` is then still there."""
        target = self._inside(path)
        await asyncio.to_thread(self._move, file, target)
        return path

    async def show(self, location: str, path: str) -> None:
        if location != path:
            await asyncio.to_thread(self._link, self._inside(location), self._inside(path))

    async def exists(self, location: str) -> bool:
        return await asyncio.to_thread(self._inside(location).is_file)

    async def keep_as(self, location: str, path: str) -> str:
        await self.show(location, path)
        return path

    async def delete(self, path: str) -> None:
        """Deleting what is gone is no error. Folders that it leaves empty go too."""
        await asyncio.to_thread(self._remove, self._inside(path))

    async def keep_only(self, folder: str, paths: frozenset[str]) -> None:
        """Remove every file below the folder that is not one of these."""
        await asyncio.to_thread(self._keep_only, self._inside(folder), paths)

    def work_directory(self, job_id: UUID) -> Path:
        return self._work.fresh(job_id)

    def discard_work(self, job_id: UUID) -> None:
        self._work.discard(job_id)

    def abandoned_work(self) -> list[UUID]:
        return self._work.names()

    async def stored(self) -> AsyncIterator[StoredFile]:
        for file in await asyncio.to_thread(self._listed):
            yield file

    async def work(self) -> AsyncIterator[tuple[UUID, datetime]]:
        for one in await asyncio.to_thread(self._work.ages):
            yield one

    def free_bytes(self) -> int:
        return self._work.free_bytes()

    def local_path(self, location: str) -> Path | None:
        return self._inside(location)

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Raises `FileNotFoundError`."""
        with await asyncio.to_thread(self._inside(location).open, "rb") as file:
            file.seek(start)
            while start < end and (chunk := await asyncio.to_thread(file.read, min(CHUNK, end - start))):
                start += len(chunk)
                yield chunk

    def _listed(self) -> list[StoredFile]:
        """The time is that of the last change of the name: a fetched file may carry its server's time."""
        found = []
        # Not rglob, which fails when a folder goes while it is listed.
        for folder, _, names in os.walk(self._root / "downloads"):
            found += self._files_in(Path(folder), names)
        return found

    def _files_in(self, folder: Path, names: list[str]) -> list[StoredFile]:
        found = []
        for file in (folder / name for name in names):
            with contextlib.suppress(FileNotFoundError):  # somebody deletes it meanwhile
                status = file.lstat()
                if stat.S_ISREG(status.st_mode):
                    since = datetime.fromtimestamp(status.st_ctime, UTC)
                    found.append(StoredFile(path=file.relative_to(self._root).as_posix(), size=status.st_size, since=since))
        return found

    def _inside(self, path: str) -> Path:
        parts = PurePosixPath(path).parts
        if not parts or PurePosixPath(path).is_absolute() or ".." in parts or "\0" in path:
            raise ValueError("a path outside the media root")
        return self._root.joinpath(*parts)

    @staticmethod
    def _move(file: Path, target: Path) -> None:
        """The bytes are on the disk before the name is: a power cut leaves no half file under it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        file.chmod(READ_ONLY)
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        file.replace(target)

    def _link(self, stored: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(stored):
            return
        beside = target.with_name(f".{os.getpid()}.{target.name[:80]}.part")
        beside.unlink(missing_ok=True)
        try:
            beside.hardlink_to(stored)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links
            shutil.copyfile(stored, beside)
            beside.chmod(READ_ONLY)
        beside.replace(target)

    def _remove(self, file: Path) -> None:
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder in {self._root, *self._root.parents}:
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def _keep_only(self, folder: Path, paths: frozenset[str]) -> None:
        for file in [f for f in folder.rglob("*") if f.is_file()]:
            if file.relative_to(self._root).as_posix() not in paths:
                self._remove(file)


class S3Media:
    """Objects in a bucket, below a prefix. Jobs show the same object: nothing is copied."""

    def __init__(self, store: ObjectStore, work_root: Path) -> None:
        self._store = store
        self._work = WorkDirectories(work_root)

    async def adopt(self, file: Path, path: str) -> str:
        """Uploads in parts when large; the object appears whole or not at all."""
        await self._store.put_async(path, file)
        await asyncio.to_thread(file.unlink)
        return path

    async def show(self, location: str, path: str) -> None:
        """Nothing to do: the database maps both paths to the one object. Raises `FileNotFoundError` when it is gone."""
        del path
        if not await self.exists(location):
            raise FileNotFoundError(location)

    async def keep_as(self, location: str, path: str) -> str:
        """An object has one place, which all share."""
        del path
        return location

    async def exists(self, location: str) -> bool:
        try:
            await self._store.head_async(location)
        except FileNotFoundError:
            return False
        return True

    async def delete(self, path: str) -> None:
        try:
            await self._store.delete_async(path)
        except FileNotFoundError:
            return

    async def keep_only(self, folder: str, paths: frozenset[str]) -> None:
        """Remove every object below the folder that is not one of these."""
        found = [entry["path"] async for page in self._store.list(folder + "/") for entry in page]
        for path in found:
            if path not in paths:
                await self.delete(path)

    def work_directory(self, job_id: UUID) -> Path:
        return self._work.fresh(job_id)

    def discard_work(self, job_id: UUID) -> None:
        self._work.discard(job_id)

    def abandoned_work(self) -> list[UUID]:
        return self._work.names()

    async def stored(self) -> AsyncIterator[StoredFile]:
        async for page in self._store.list("downloads/"):
            for entry in page:
                yield StoredFile(path=entry["path"], size=entry["size"], since=entry["last_modified"])

    async def work(self) -> AsyncIterator[tuple[UUID, datetime]]:
        for one in await asyncio.to_thread(self._work.ages):
            yield one

    def free_bytes(self) -> int:
        return self._work.free_bytes()

    def local_path(self, location: str) -> Path | None:
        del location
        return None

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Raises `FileNotFoundError`, and `OSError` while the store does not answer."""
        if start >= end:
            return
        try:
            found = await self._store.get_async(location, options={"range": (start, end)})
            async for chunk in found.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except FileNotFoundError:
            raise
        except BaseError as broken:
            raise OSError("the store does not answer") from broken


def _is_uuid(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
