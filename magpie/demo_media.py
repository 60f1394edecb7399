"""Media for the demonstration that are nicer to look at than the test pictures of the media site, in the places of those."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from magpie.sunrise import graph, run_ffmpeg

_HEIGHTS: Final = (1080, 720, 480, 240, 144)
_SECONDS: Final = 10
_H264: Final = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "27", "-g", "30", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
_AAC: Final = ("-c:a", "aac", "-b:a", "128k")
_OPUS: Final = ("-c:a", "libopus", "-b:a", "96k")


async def make_demo_media(directory: Path) -> None:
    """Put them into the media site's directory, before the site makes its own; only once. Raises `OSError`, `Unavailable`."""
    target = directory / "media"
    if await asyncio.to_thread((target / "thumb.jpg").exists):
        return
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as work:
        await run_ffmpeg(Path(work), *_arguments())
        await asyncio.to_thread(_move_all, Path(work), target)


def _move_all(source: Path, target: Path) -> None:
    """The picture last: it says that all are there."""
    for made in sorted(source.iterdir(), key=lambda path: path.suffix == ".jpg"):
        made.replace(target / made.name)


def _arguments() -> list[tuple[str, ...]]:
    """One run for all: the picture is drawn once, in full size. A grain gives the files the sizes of real ones."""
    sizes = {**{f"v{height}": height for height in _HEIGHTS}, "clip": 360, "thumb": 360}
    scaled = [f"[p{n}]scale=-2:{height},noise=alls=8:allf=t[{name}]" for n, (name, height) in enumerate(sizes.items())]
    split = f"[picture]split={len(sizes)}" + "".join(f"[p{n}]" for n in range(len(sizes)))
    whole = ";".join((graph(1920, 1080, _SECONDS), split, *scaled, "[sound]asplit=3[s0][s1][s2]"))
    outputs = [("-map", f"[v{height}]", *_H264, f"v{height}.mp4") for height in _HEIGHTS]
    return [
        ("-filter_complex", whole),
        *outputs,
        ("-map", "[clip]", "-map", "[s0]", *_H264, *_AAC, "clip.mp4"),
        ("-map", "[s1]", *_AAC, "-movflags", "+faststart", "song.m4a"),
        ("-map", "[s2]", *_OPUS, "song.webm"),
        ("-map", "[thumb]", "-ss", "7", "-frames:v", "1", "-q:v", "4", "-update", "1", "thumb.jpg"),
    ]
