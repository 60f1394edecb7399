"""Fresh extractors: yt-dlps that are newer than the one Magpie came with, each in a directory of its own, and which one is used."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

YTDLP, SOLVER = "yt-dlp", "yt-dlp-ejs"
_VERSION = re.compile(r"\d[\w.+-]{0,60}")
_OURS = frozenset({"current", "lock", "tried"})
_LEFT_OVER_SECONDS = 60.0


class UpdateFailed(Exception):
    """Nothing was changed. The message is a sentence for people."""


class UpdateUnderWay(UpdateFailed):
    """Another update is under way."""


def version_in(place: Path | None, package: str = YTDLP) -> str | None:
    """The version in that directory, else in Magpie's own environment, which is meant by None; None where there is none."""
    path = sys.path if place is None else [str(place)]
    found = next(iter(importlib.metadata.distributions(name=package, path=path)), None)
    try:
        return None if found is None else found.version
    except ValueError:  # no text
        return None


def wanted_solver(place: Path | None) -> str | None:
    """The version of the solver scripts that this yt-dlp asks for: it takes exactly that one."""
    path = sys.path if place is None else [str(place)]
    found = next(iter(importlib.metadata.distributions(name=YTDLP, path=path)), None)
    asked = (re.match(rf"{SOLVER}\s*==\s*([\w.]+)", requirement) for requirement in (found and found.requires) or [])
    return next((match[1] for match in asked if match), None)


def order_of(version: str | None) -> tuple[int, ...]:
    """To compare versions by: a release is named for its day, with zeros (`2026.09.04`) and without."""
    return tuple(int(number) for number in re.findall(r"\d+", version or ""))


class FreshExtractors:
    """What lies in `root`: a directory a version, and `current`, which names the one to use and the one before."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._current = self.root / "current"
        self._tried = self.root / "tried"

    def chosen(self) -> Path | None:
        """The directory to use. None when the environment's yt-dlp is as new, or nothing else is there that could be used."""
        version = self._named()[0]
        if version is None or order_of(version_in(self.root / version)) <= order_of(version_in(None)):
            return None
        return self.root / version

    @property
    def is_broken(self) -> bool:
        """Whether `current` is there, and names nothing that could be used."""
        version = self._named()[0]
        return self._current.exists() and (version is None or version_in(self.root / version) is None)

    def stamp(self) -> tuple[int, int] | None:
        """Another one each time when something else is chosen."""
        try:
            found = self._current.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def choose(self, place: Path | None, before: Path | None = None) -> None:
        """From now on this one; None: the environment's. Raises `OSError`."""
        if place is None:
            self._current.unlink(missing_ok=True)
            return
        descriptor, fresh = tempfile.mkstemp(prefix=".current-", dir=self.root)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write("".join(f"{one.name}\n" for one in (place, before) if one is not None))
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(self._current)

    def withdraw(self, place: Path, instead: Path | None) -> None:
        """It is no good. Whatever has been chosen meanwhile stays chosen. Raises `OSError`."""
        if self._named()[0] == place.name:
            self.choose(instead)
        self.remove(place)

    def put(self, fresh: Path, version: str, before: Path | None) -> Path:
        """Move a complete directory to its place, and choose it. Raises `OSError`."""
        place = self.root / version
        # One of this version may be left from a time when it was no good. When somebody works with it, it is good.
        if not place.exists() or self.remove(place):
            fresh.rename(place)
        self.choose(place, before)
        return place

    @contextlib.contextmanager
    def used(self, place: Path) -> Iterator[None]:
        """While it is used it is not removed. Raises `OSError` when it is being removed, or is not there."""
        descriptor = os.open(place / ".in-use", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            yield
        finally:
            os.close(descriptor)

    def remove(self, place: Path) -> bool:
        """Unless somebody uses it. Returns whether it is gone."""
        try:
            descriptor = os.open(place / ".in-use", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Under another name first: what is left of a removal that was broken off must not look like a version.
            gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=self.root))
            place.rename(gone)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        shutil.rmtree(gone, ignore_errors=True)
        return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """For one update at a time, here or in another process. Gives the lock's descriptor: what is started with it keeps the lock
        too. Raises `UpdateUnderWay`, `OSError`.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpdateUnderWay("Another update of the extractors is under way.") from None
            yield descriptor
        finally:
            os.close(descriptor)

    def tidy(self) -> None:
        """Remove all but the chosen one and the one before, and what an update that was killed left behind. Only under the lock."""
        keep = {*self._named(), *_OURS}
        for entry in self.root.iterdir():
            if entry.name in keep:
                continue
            if not entry.is_dir():
                # A young one may be about to become `current`.
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat().st_mtime > _LEFT_OVER_SECONDS:
                        entry.unlink()
            elif entry.name.startswith("."):
                shutil.rmtree(entry, ignore_errors=True)
            else:
                self.remove(entry)

    def last_try(self) -> float | None:
        """When an update was tried last, in seconds since 1970, whatever came of it."""
        try:
            return self._tried.stat().st_mtime
        except OSError:
            return None

    def note_try(self) -> None:
        """Raises `OSError`."""
        self._tried.touch()

    def _named(self) -> tuple[str | None, str | None]:
        """The version to use, and the one before."""
        try:
            lines = self._current.read_text("ascii").split()
        except (OSError, ValueError):
            return None, None
        first, second, *_ = [line if _VERSION.fullmatch(line) else None for line in lines] + [None, None]
        return first, second
