"""What a file is, told by its content."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from scraper.picture_files import picture_in, video_extension
from scraper.tools import find_ffmpeg


def drawn(directory: Path, name: str, *options: str) -> Path:
    path = directory / name
    command = [str(find_ffmpeg()), "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=86x42:r=5", "-frames:v", "3", *options, f"file:{path}"]
    subprocess.run(command, check=True, capture_output=True)
    # A name says nothing.
    return path.rename(directory / "unnamed")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.jpg", ["-frames:v", "1", "-update", "1"]),
        ("x.png", ["-frames:v", "1", "-update", "1"]),
        ("x.gif", []),
        ("x.webp", ["-frames:v", "1", "-c:v", "libwebp"]),
        ("x.webp", ["-frames:v", "1", "-c:v", "libwebp", "-lossless", "1"]),
        ("x.webp", ["-c:v", "libwebp_anim"]),
        ("x.avif", ["-frames:v", "1", "-c:v", "libaom-av1", "-cpu-used", "8"]),
    ],
)
def test_a_picture_is_known_with_its_size(tmp_path: Path, name: str, options: list[str]) -> None:
    path = drawn(tmp_path, name, *options)
    found = picture_in(path)
    assert found is not None
    assert (found.extension, found.width, found.height) == (name[2:], 86, 42)
    assert video_extension(path) is None


@pytest.mark.parametrize("name", ["mp4", "webm"])
def test_a_video_is_no_picture(tmp_path: Path, name: str) -> None:
    path = drawn(tmp_path, f"x.{name}")
    assert picture_in(path) is None
    assert video_extension(path) == name


def test_the_head_of_a_jpeg_may_come_after_large_comments(tmp_path: Path) -> None:
    content = drawn(tmp_path, "x.jpg", "-frames:v", "1", "-update", "1").read_bytes()
    comment = b"\xff\xfe" + struct.pack(">H", 65_000) + b"c" * 64_998
    path = tmp_path / "commented"
    path.write_bytes(content[:2] + 3 * comment + content[2:])
    found = picture_in(path)
    assert found is not None
    assert (found.width, found.height) == (86, 42)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<!DOCTYPE html><html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"\0\0\0\x20ftypavif", b"\xff\xd8\xff\xff\xff\xff", b"PK\x03\x04",
        b"%PDF-1.7",
        b"GIF89a\0\0\0\0", b"\xff\xd8\xff\xe0\x00\x00" * 9,
    ],
)  # fmt: skip
def test_anything_else_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert picture_in(path) is None
    assert video_extension(path) is None
