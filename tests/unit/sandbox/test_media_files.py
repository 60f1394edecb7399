"""What the site serves is what it says: real media, made on the spot."""

from __future__ import annotations

import asyncio
import re
import struct
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from sandbox.media_files import MediaFiles, NoSuchMedia


@pytest.fixture
def files(media_directory: Path) -> MediaFiles:
    return MediaFiles(media_directory, imageio_ffmpeg.get_ffmpeg_exe())


def probe(path: Path, *, decode: bool = False) -> str:
    """What ffmpeg says of a file; with `decode`, it must decode to the end without an error."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    command = [ffmpeg, "-nostdin", "-xerror", "-i", str(path), *(("-f", "null", "-") if decode else ())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert not decode or done.returncode == 0, done.stderr
    return done.stderr


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def boxes(path: Path) -> list[str]:
    """The kinds of a file's outermost ISO BMFF boxes; they must fill it exactly."""
    kinds, position, size = [], 0, path.stat().st_size
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            length, kind = struct.unpack(">I4s", file.read(8))
            length = length if length != 1 else struct.unpack(">Q", file.read(8))[0]
            assert length >= 8
            position += length
            kinds.append(kind.decode())
    assert position == size
    return kinds


def counting_ffmpeg(directory: Path) -> Path:
    """An ffmpeg that notes each of its runs in `directory/runs`."""
    program = directory / "ffmpeg"
    program.write_text(f'#!/bin/sh\necho run >> "{directory}/runs"\nexec "{imageio_ffmpeg.get_ffmpeg_exe()}" "$@"\n')
    program.chmod(0o755)
    return program


def seconds(report: str) -> float:
    found = re.search(r"Duration: (\d+):(\d+):([\d.]+)", report)
    assert found
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


async def test_the_clip_is_a_megabyte_of_h264_and_aac_that_lasts_ten_seconds(files: MediaFiles) -> None:
    clip = await files.find("media/clip.mp4")

    report = probe(clip, decode=True)

    assert 900_000 < clip.stat().st_size < 1_100_000
    assert "h264" in report
    assert "aac" in report
    assert seconds(report) == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize(("name", "codec"), [("song.m4a", "aac"), ("song.webm", "opus"), ("v144.mp4", "h264"), ("v1080.mp4", "1920x1080")])
async def test_the_single_streams_last_as_long_as_the_clip(files: MediaFiles, name: str, codec: str) -> None:
    report = probe(await files.find(f"media/{name}"))

    assert codec in report
    assert report.count("Stream #") == 1
    assert seconds(report) == pytest.approx(10, abs=0.2)


async def test_the_track_lasts_three_minutes(files: MediaFiles) -> None:
    track = await files.find("media/track3min.m4a")

    assert seconds(probe(track)) == pytest.approx(180, abs=0.5)
    assert 2_500_000 < track.stat().st_size < 3_500_000


@pytest.mark.parametrize("name", ["blob/500000.mp4", "blob/500000000.mp4", "blob/6000000000.mp4", "pattern/1000003.mp4"])
async def test_a_padded_file_has_its_size_and_is_a_whole_mp4(files: MediaFiles, name: str) -> None:
    padded = await files.find(name)

    assert padded.stat().st_size == int(re.sub(r"\D", "", name.removesuffix(".mp4")))
    assert boxes(padded) == ["ftyp", "moov", "free", "mdat", "free"]
    assert seconds(probe(padded, decode=True)) == pytest.approx(1, abs=0.3)


async def test_a_blob_takes_no_disk_space_for_its_padding(files: MediaFiles) -> None:
    blob = await files.find("blob/500000000.mp4")

    assert blob.stat().st_blocks * 512 < 1_000_000


async def test_no_two_stretches_of_a_pattern_are_alike(files: MediaFiles) -> None:
    content = (await files.find("pattern/3000000.mp4")).read_bytes()
    tail = content[-2_000_000:]

    stretches = [tail[start : start + 4096] for start in range(0, len(tail), 4096)]

    assert len(set(stretches)) == len(stretches)


@pytest.mark.parametrize(
    "name",
    [
        "media/none.mp4",
        "../etc/passwd",
        "hls/../media/clip.mp4",
        "hls/..",
        "hls/",
        "hls/seg100.ts",
        "blob/x.mp4",
        "blob/999999999999.mp4",
        "",
    ],
)
async def test_what_is_not_on_the_list_is_not_found(files: MediaFiles, name: str) -> None:
    with pytest.raises(NoSuchMedia):
        await files.find(name)


async def test_a_file_asked_for_by_many_at_once_is_made_once(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path / "media", str(counting_ffmpeg(tmp_path)))

    found = await asyncio.gather(*(files.find("media/tiny.mp4") for _ in range(10)))

    assert len(set(found)) == 1
    assert (tmp_path / "runs").read_text() == "run\n"


async def test_two_sites_may_make_the_same_stream_in_one_directory(tmp_path: Path) -> None:
    first, second = (MediaFiles(tmp_path, imageio_ffmpeg.get_ffmpeg_exe()) for _ in range(2))

    one, other = await asyncio.gather(first.find("dash/manifest.mpd"), second.find("dash/manifest.mpd"))

    assert one == other
    assert one.is_file()
    assert names_in(tmp_path) == ["dash"]


async def test_an_ffmpeg_that_fails_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    files = MediaFiles(tmp_path, "/bin/false")

    with pytest.raises(RuntimeError, match="ffmpeg could not make"):
        await files.find("media/tiny.mp4")

    assert names_in(tmp_path) == []
