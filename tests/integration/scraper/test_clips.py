"""A part of a medium: cut where it was asked for, and no more of the whole asked for than that takes."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from service.errors import FetchFailed
from service.model import Phase
from service.selection import Clip, Selection
from tests.integration.scraper.conftest import (
    FFMPEG,
    PUBLIC_VIDEO,
    YOUTUBE,
    Bench,
    Watcher,
    alive,
    decodes,
    descendants,
    pixels,
    shown,
    until,
)
from tests.integration.scraper.test_guard import Trap, trap

pytestmark = pytest.mark.asyncio(loop_scope="session")

__all__ = ["trap"]

CHIRP = f"{YOUTUBE}CHIRPaaaaaa"


def clip(start: float, end: float) -> tuple[None, Clip]:
    """The last two of a selection's parts."""
    return None, Clip(start=int(start * 1000), end=int(end * 1000))


def moment_of(frame: bytes, original: Path, around: float) -> float:
    """When in the original this frame is shown, in seconds: the frame nearest to it of the three seconds around there."""
    first = max(0.0, around - 1.5)
    frames = pixels(original, "-ss", str(first), "-t", "3")
    nearest = min(range(len(frames)), key=lambda at: sum(abs(a - b) for a, b in zip(frames[at], frame, strict=True)))
    return first + nearest / 25


def began_at(path: Path) -> float:
    """When in the original this sound begins, told by its pitch after half a second: an encoder's first moments are not clean."""
    # 200 Hz at first and 100 more each second; what is listened to has its middle an eighth of a second later.
    return (pitch(path, 0.5, 0.25) - 200) / 100 - 0.625


def pitch(path: Path, at: float, seconds: float) -> float:
    """In Hz: how often the sound goes through zero."""
    command = [
        FFMPEG,
        "-v",
        "error",
        "-i",
        f"file:{path}",
        "-ss",
        str(at),
        "-t",
        str(seconds),
        "-ac",
        "1",
        "-ar",
        "44100",
        "-f",
        "s16le",
        "-",
    ]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    samples = struct.unpack(f"<{len(data) // 2}h", data)
    crossings = sum(1 for one, other in pairwise(samples) if (one < 0) != (other < 0))
    return crossings / 2 / (len(samples) / 44100)


@pytest.mark.parametrize(("start", "end"), [(3.2, 5.7), (0, 1), (30.04, 32.04), (57.5, 59)])
async def test_a_video_is_cut_to_a_tenth_of_a_second(bench: Bench, start: float, end: float) -> None:
    (file,) = (await bench.fetch("/media/minute.mp4", "video", "mp4", "best", *clip(start, end))).files
    original = await bench.site.files.find("media/minute.mp4")
    frames = pixels(file.path)
    assert file.duration is not None
    assert abs(file.duration.total_seconds() - (end - start)) < 0.1
    assert abs(moment_of(frames[0], original, start) - start) < 0.1
    assert abs(moment_of(frames[-1], original, end) - (end - 0.04)) < 0.1
    assert decodes(file.path)


@pytest.mark.parametrize("form", ["mp3", "m4a", "opus", "wav", "flac"])
async def test_sound_is_cut_to_a_tenth_of_a_second(bench: Bench, form: str) -> None:
    (file,) = (await bench.fetch("/media/chirp.m4a", "audio", form, "best", *clip(3.2, 5.7))).files
    assert file.duration is not None
    assert abs(file.duration.total_seconds() - 2.5) < 0.1
    assert abs(began_at(file.path) - 3.2) < 0.1
    assert decodes(file.path)


async def test_picture_and_sound_that_come_separately_are_cut_alike(bench: Bench) -> None:
    (file,) = (await bench.fetch(CHIRP, "video", "mp4", "720", *clip(3.2, 5.8))).files
    said = shown(file.path)
    assert "Video: h264" in said
    assert "Audio: aac" in said
    assert (file.height, decodes(file.path)) == (720, True)
    assert abs(began_at(file.path) - 3.2) < 0.1
    original = await bench.site.files.find("media/v720.mp4")
    whole = pixels(original)
    nearest = min(range(len(whole)), key=lambda at: sum(abs(a - b) for a, b in zip(whole[at], pixels(file.path)[0], strict=True)))
    assert nearest / 5 == pytest.approx(3.2, abs=0.1)


async def test_chapters_of_a_clip_are_its_own(bench: Bench) -> None:
    said = shown((await bench.fetch(PUBLIC_VIDEO, "audio", "m4a", "best", *clip(3, 7))).files[0].path)
    assert "Chapter #0:0: start 0.000000, end 2.000000" in said
    assert "Chapter #0:1: start 2.000000, end 4.000000" in said
    assert "Test video abcdefghijk" in said


async def test_of_a_large_file_only_the_part_is_asked_for(bench: Bench) -> None:
    size = (await bench.site.files.find("media/minute.mp4")).stat().st_size
    path = "/throttled/8000/media/minute.mp4"
    bench.site.log.clear()
    await bench.fetch(path, "video", "mp4", "best", *clip(30, 32))
    asked = [one.range for one in bench.site.log.of(path) if one.range not in {None, "bytes=0-"}]
    assert asked
    assert all(str(one).startswith("bytes=1") for one in asked)
    assert bench.site.log.sent(path) < size / 3


async def test_of_a_stream_in_segments_only_those_of_the_part_are_asked_for(bench: Bench) -> None:
    bench.site.log.clear()
    (file,) = (await bench.fetch("/hls/index.m3u8", "video", "mp4", "best", *clip(80.4, 82.4))).files
    assert file.duration is not None
    assert abs(file.duration.total_seconds() - 2) < 0.3  # it has five pictures a second
    segments = {one.path for one in bench.site.log if "seg" in one.path}
    assert len(segments) < 25  # of a hundred


async def test_what_ffmpeg_does_not_read_itself_is_cut_out_of_the_whole(bench: Bench) -> None:
    (file,) = (await bench.fetch("/dash/manifest.mpd", "video", "mp4", "best", *clip(3.2, 5.7))).files
    assert file.duration is not None
    assert abs(file.duration.total_seconds() - 2.5) < 0.1


async def test_an_end_beyond_the_end_is_the_end(bench: Bench) -> None:
    (file,) = (await bench.fetch(PUBLIC_VIDEO, "audio", "m4a", "best", *clip(8, 100))).files
    assert file.duration is not None
    assert abs(file.duration.total_seconds() - 2) < 0.1


@pytest.mark.parametrize(
    ("path", "selection"),
    [
        (PUBLIC_VIDEO, ("video", "mp4")),
        (PUBLIC_VIDEO, ("audio", "m4a")),
        ("/media/clip.mp4", ("video", "mp4")),
        ("/media/clip.mp4", ("audio", "mp3")),
        ("/media/song.webm", ("audio", "opus")),
        ("/hls/index.m3u8", ("video", "mkv")),
        ("/dash/manifest.mpd", ("video", "mp4")),
    ],
)
async def test_a_clip_behind_the_end_is_refused(bench: Bench, path: str, selection: tuple[str, str]) -> None:
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch(path, *selection, "best", *clip(200, 210))
    assert failure.value.code == "clip_outside"


async def test_a_short_clip_of_a_long_video_is_not_too_long(bench: Bench) -> None:
    fetched = await bench.fetch(f"{YOUTUBE}LONGaaaaaaa", "audio", "m4a", "best", *clip(1, 3), max_duration=60)
    assert fetched.files[0].duration is not None
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch(f"{YOUTUBE}LONGaaaaaaa", "audio", "m4a", "best", *clip(1, 100), max_duration=60)
    assert failure.value.code == "too_long"


async def test_a_clip_says_of_itself_how_long_and_large_it_will_be(bench: Bench) -> None:
    watcher = Watcher()
    await bench.fetch(PUBLIC_VIDEO, "audio", "m4a", "best", *clip(1, 3), watcher=watcher)
    (found,) = watcher.found
    assert found.duration is not None
    assert found.duration.total_seconds() == 2
    assert found.size == bench.site.files.sizes()["media/song.m4a"] // 5


async def test_a_clip_of_what_was_described_does_not_ask_for_the_page_again(bench: Bench) -> None:
    bench.site.log.clear()
    await bench.describe("/page/jsonld?clip=1")
    await bench.fetch("/page/jsonld?clip=1", "video", "mp4", "best", *clip(2, 4))
    assert bench.asked("/page/jsonld") == 1


async def test_a_clip_tells_how_far_it_is(bench: Bench) -> None:
    watcher = Watcher()
    await bench.fetch("/throttled/3000/media/minute.mp4", "video", "mp4", "best", *clip(2, 22), watcher=watcher)
    loading = [state for state in watcher.states if state.phase is Phase.DOWNLOADING]
    assert len(loading) >= 3
    assert any(state.percent is not None and 0 < state.percent < 95 for state in loading)
    assert loading[-1].percent == 100


async def test_a_cancelled_clip_takes_ffmpeg_with_it(bench: Bench) -> None:
    request = bench.request(bench.address("/throttled/50/media/minute.mp4"), Selection.of("video", "mp4", "best", *clip(1, 50)))
    task = asyncio.create_task(bench.fetcher.fetch(request, Watcher()))
    zygote = bench.fetcher.pool.pids()[0]

    def cutters() -> list[int]:
        return [pid for pid in descendants(zygote) if alive(pid) and b"libx264" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    await until(lambda: bool(cutters()))
    (ffmpeg,) = cutters()
    os.kill(ffmpeg, signal.SIGSTOP)  # so that it cannot end by itself
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(ffmpeg)
    assert not any(request.directory.iterdir())


async def test_a_clip_that_leads_to_a_private_address_is_refused_without_a_byte(bench: Bench, trap: Trap) -> None:
    with pytest.raises(FetchFailed) as failure:
        await bench.fetch(f"/hls/private.m3u8?to={trap.base}/seg.ts", "video", "mp4", "best", *clip(0, 2))
    assert failure.value.code == "address_not_allowed"
    assert trap.visits == 0
