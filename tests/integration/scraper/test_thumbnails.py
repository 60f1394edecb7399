"""Thumbnails of files that are here."""

from __future__ import annotations

from pathlib import Path

import pytest

from scraper.picture_files import picture_in
from tests.integration.scraper.conftest import PUBLIC_VIDEO, Bench, pixels

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def thumbnail(bench: Bench, name: str) -> Path | None:
    content = await bench.fetcher.thumbnail(await bench.site.files.find(name))
    return None if content is None else written(bench, content)


def written(bench: Bench, content: bytes) -> Path:
    bench.root.mkdir(exist_ok=True)
    path = bench.root / "thumbnail.jpg"
    path.write_bytes(content)
    assert len(content) <= 200_000
    return path


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("media/v1080.mp4", (320, 180)),
        ("media/tiny.mp4", (128, 72)),
        ("picture/1200x800.jpg", (320, 213)),
        ("picture/200x300.png", (200, 300)),
        ("picture/300x900.webp", (107, 320)),
        ("picture/640x640.gif", (320, 320)),
    ],
)
async def test_a_video_or_a_picture_becomes_a_jpeg_that_is_small_enough(bench: Bench, name: str, size: tuple[int, int]) -> None:
    path = await thumbnail(bench, name)
    assert path is not None
    found = picture_in(path)
    assert found is not None
    assert (found.extension, found.width, found.height) == ("jpg", *size)


async def test_a_video_that_begins_in_black_is_not_shown_black(bench: Bench) -> None:
    path = await thumbnail(bench, "media/dark.mp4")
    assert path is not None
    (frame,) = pixels(path)
    assert min(frame) > 200


async def test_a_song_shows_its_cover(bench: Bench) -> None:
    for form in ("mp3", "m4a", "opus"):
        (file,) = (await bench.fetch(PUBLIC_VIDEO, "audio", form)).files
        content = await bench.fetcher.thumbnail(file.path)
        assert content is not None
        assert picture_in(written(bench, content)) is not None


@pytest.mark.parametrize("name", ["media/song.m4a", "media/subs.vtt"])
async def test_what_has_nothing_to_show_has_no_thumbnail(bench: Bench, name: str) -> None:
    assert await thumbnail(bench, name) is None


async def test_a_file_that_only_claims_to_be_a_video_has_none(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "claims.mp4"
    path.write_text("ffconcat version 1.0\nfile file:///etc/passwd\n")
    assert await bench.fetcher.thumbnail(path) is None
    assert await bench.fetcher.thumbnail(tmp_path / "missing.mp4") is None
