"""The media of the media site: made by ffmpeg on first request, kept in one directory, never committed.

Several processes may share a directory: every file is made beside its place and renamed into it.
"""

from __future__ import annotations

import array
import asyncio
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from sandbox.subtitles import SUBTITLES

HEIGHTS = (144, 240, 480, 720, 1080)
CLIP_SECONDS = 10
HLS_SEGMENTS = 100
MAX_BLOB = 10**11
MAX_PATTERN = 10**9

_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_FASTSTART = ("-movflags", "+faststart")
_PICTURE = re.compile(r"picture/([1-9]\d{1,3})x([1-9]\d{1,3})\.(jpg|png|webp|gif)")
_BLOB = re.compile(r"(blob|pattern)/(\d{1,12})\.mp4")
_BOX_HEADER = 16
_PIECE = 1 << 20


def _source(kind: str) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", kind)


def _picture(height: int) -> tuple[str, ...]:
    width = height * 16 // 9 // 2 * 2
    return (*_source(f"testsrc=s={width}x{height}:r=5"), "-t", str(CLIP_SECONDS), *_X264, "-crf", "40", "-g", "10", *_FASTSTART)


def _tone(seconds: int, rate: int, *codec: str) -> tuple[str, ...]:
    return (*_source(f"sine=440:r={rate}"), "-t", str(seconds), *codec)


# Its pitch tells the time: 200 Hz at the beginning, 100 Hz more each second.
_CHIRP = "aevalsrc='0.5*sin(2*PI*(200*t+50*t*t))':s=44100"

_RECIPES: dict[str, tuple[str, ...]] = {
    # Noise makes the encoder fill its bit rate, so that the clip is 1 MB.
    "media/clip.mp4": (
        *_source("testsrc2=s=640x360:r=25,noise=alls=20:allf=t"), *_source("sine=440:r=44100"), "-t", str(CLIP_SECONDS),
        *_X264, "-g", "50", "-b:v", "700k", "-maxrate", "700k", "-bufsize", "350k", "-c:a", "aac", "-b:a", "96k", *_FASTSTART,
    ),
    "media/tiny.mp4": (
        *_source("testsrc=s=128x72:r=5"), *_source("sine=440:r=22050"), "-t", "1", *_X264, "-c:a", "aac", "-b:a", "32k", *_FASTSTART,
    ),
    "media/song.m4a": _tone(CLIP_SECONDS, 44100, "-c:a", "aac", "-b:a", "128k", *_FASTSTART),
    "media/song.webm": _tone(CLIP_SECONDS, 48000, "-c:a", "libopus", "-b:a", "96k"),
    "media/track3min.m4a": _tone(180, 44100, "-c:a", "aac", "-b:a", "128k", *_FASTSTART),
    "media/thumb.jpg": (*_source("testsrc2=s=640x360:r=1"), "-frames:v", "1", "-q:v", "5"),
    **{f"media/v{height}.mp4": _picture(height) for height in HEIGHTS},
}  # fmt: skip

# Large or rarely asked for: made when they are, not before.
_ON_DEMAND: dict[str, tuple[str, ...]] = {
    # 30 MB, so that a part of it is much less than the whole; no two frames are alike.
    "media/minute.mp4": (
        *_source("testsrc2=s=640x360:r=25,noise=alls=40:allf=t"), *_source(_CHIRP), "-t", "60",
        *_X264, "-g", "50", "-b:v", "4M", "-maxrate", "4M", "-bufsize", "4M", "-c:a", "aac", "-b:a", "96k", *_FASTSTART,
    ),
    "media/chirp.m4a": (*_source(_CHIRP), "-t", str(CLIP_SECONDS), "-c:a", "aac", "-b:a", "128k", *_FASTSTART),
    "media/dark.mp4": (
        *_source("color=black:s=320x180:r=10"), "-t", "4", "-vf", "drawbox=color=white:t=fill:enable='gt(t,0.35)'", *_X264, *_FASTSTART,
    ),
}  # fmt: skip

_FOLDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "hls": ("index.m3u8", (
        *_source("testsrc=s=128x72:r=5"), *_source("sine=440:r=22050"), "-t", str(HLS_SEGMENTS),
        *_X264, "-g", "5", "-c:a", "aac", "-b:a", "32k",
        "-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-hls_playlist_type", "vod", "-hls_segment_filename", "seg%03d.ts",
    )),
    "dash": ("manifest.mpd", (
        *_source("testsrc=s=320x180:r=10"), *_source("sine=440:r=44100"), "-t", str(CLIP_SECONDS),
        *_X264, "-g", "20", "-c:a", "aac", "-b:a", "64k",
        "-f", "dash", "-seg_duration", "2", "-init_seg_name", "init-$RepresentationID$.m4s",
        "-media_seg_name", "chunk-$RepresentationID$-$Number%03d$.m4s",
    )),
}  # fmt: skip


class NoSuchMedia(LookupError):
    """There is no medium of this name."""


class MediaFiles:
    """Media by the name they have on the site, such as `media/clip.mp4`, `n/anything.mp4`, `blob/5000000.mp4`, `hls/seg000.ts`."""

    def __init__(self, directory: Path, ffmpeg: str) -> None:
        self.directory = directory
        self._ffmpeg = ffmpeg
        self._locks: dict[str, asyncio.Lock] = {}

    async def prepare(self) -> None:
        """Make all media of fixed names, two at a time."""
        gate = asyncio.Semaphore(2)

        async def make(name: str) -> None:
            async with gate:
                await self.find(name)

        names = [*_RECIPES, *SUBTITLES, *(f"{folder}/{index}" for folder, (index, _) in _FOLDERS.items())]
        await asyncio.gather(*(make(name) for name in names))

    async def find(self, name: str) -> Path:
        """The file of this name, made if it is not there yet. Raises `NoSuchMedia`."""
        folder, _, rest = name.partition("/")
        if folder == "n" and rest.endswith(".mp4"):
            return await self.find("media/clip.mp4")
        if name in _RECIPES or name in _ON_DEMAND:
            return await self._once(name, lambda: self._encode(name))
        if name in SUBTITLES:
            return await self._once(name, lambda: self._write(name, [SUBTITLES[name]]))
        if folder in _FOLDERS and "/" not in rest and rest not in {"", ".", ".."}:
            return await self._within(folder, rest)
        if picture := _PICTURE.fullmatch(name):
            return await self._once(name, lambda: self._draw(name, f"{picture[1]}x{picture[2]}"))
        if blob := _BLOB.fullmatch(name):
            return await self._blob(name, int(blob[2]), pattern=blob[1] == "pattern")
        raise NoSuchMedia(name)

    async def variant(self, number: int) -> Path:
        """A megabyte of mp4 whose bytes all along depend on `number` while its length does not."""
        tiny, name = await self._tiny(), f"variant/{number}.mp4"
        path = await self._once(name, lambda: self._write(name, _padded(tiny, 1_000_000, seed=number)))
        # The file may come from an earlier run: its age must follow its number, as at a site that changes.
        moment = 1_767_225_600 + 60 * number
        os.utime(path, (moment, moment))
        return path

    def sizes(self) -> dict[str, int]:
        """Bytes of each fixed medium made so far, by name."""
        return {name: path.stat().st_size for name in _RECIPES if (path := self.directory / name).exists()}

    async def _within(self, folder: str, name: str) -> Path:
        await self._once(folder, lambda: self._encode_folder(folder))
        path = self.directory / folder / name
        if not path.is_file():
            raise NoSuchMedia(f"{folder}/{name}")
        return path

    async def _blob(self, name: str, size: int, *, pattern: bool) -> Path:
        if size > (MAX_PATTERN if pattern else MAX_BLOB):
            raise NoSuchMedia(name)
        tiny = await self._tiny()
        if pattern:
            return await self._once(name, lambda: self._write(name, _padded(tiny, size)))
        return await self._once(name, lambda: self._write(name, [tiny, _free_box_header(size - len(tiny))], size))

    async def _tiny(self) -> bytes:
        return (await self.find("media/tiny.mp4")).read_bytes()

    async def _once(self, name: str, make: Callable[[], None]) -> Path:
        path = self.directory / name
        async with self._locks.setdefault(name, asyncio.Lock()):
            if not path.exists():
                await asyncio.to_thread(make)
        return path

    def _encode(self, name: str) -> None:
        self._make(name, _RECIPES.get(name) or _ON_DEMAND[name])

    def _draw(self, name: str, size: str) -> None:
        self._make(name, (*_source(f"testsrc2=s={size}:r=1"), "-frames:v", "1"))

    def _make(self, name: str, recipe: tuple[str, ...]) -> None:
        target = self.directory / name
        work = self._work()
        try:
            self._run(work, *recipe, target.name)
            target.parent.mkdir(exist_ok=True)
            (work / target.name).replace(target)
        finally:
            shutil.rmtree(work)

    def _encode_folder(self, folder: str) -> None:
        index, arguments = _FOLDERS[folder]
        target = self.directory / folder
        work = self._work()
        try:
            self._run(work, *arguments, index)
            work.rename(target)
        except OSError:
            if not target.exists():  # else another process that shares the directory was faster
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _write(self, name: str, pieces: Iterable[bytes], size: int = 0) -> None:
        """Write the pieces, then extend the file to `size` bytes without taking disk space for them."""
        target = self.directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{uuid4().hex}")
        with beside.open("wb") as out:
            out.writelines(pieces)
            out.truncate(max(size, out.tell()))
        beside.replace(target)

    def _work(self) -> Path:
        work = self.directory / f".{uuid4().hex}"
        work.mkdir(parents=True)
        return work

    def _run(self, work: Path, *arguments: str) -> None:
        done = subprocess.run(
            [self._ffmpeg, "-nostdin", "-v", "error", "-y", *arguments], cwd=work, capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            raise RuntimeError(f"ffmpeg could not make the sandbox's media: {done.stderr[-500:]}")


def _free_box_header(length: int) -> bytes:
    """The head of an ISO BMFF `free` box of `length` bytes, which players skip; nothing where it does not fit."""
    return struct.pack(">I4sQ", 1, b"free", length) if length >= _BOX_HEADER else b""


def _padded(video: bytes, size: int, seed: int = 0) -> Iterator[bytes]:
    """`video`, and a `free` box behind it in which no two aligned eights of bytes are alike, nor the same place for two seeds."""
    head = video + _free_box_header(size - len(video))
    yield head
    missing = max(0, size - len(head))
    first = seed * MAX_PATTERN
    for start in range(0, missing, _PIECE):
        length = min(_PIECE, missing - start)
        numbers = range(first + start // 8, first + start // 8 + length // 8 + 1)
        yield array.array("Q", numbers).tobytes()[:length]
