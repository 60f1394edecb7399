"""The post of the local chat's sample channel: a short video."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from magpie.sunrise import graph, run_ffmpeg

CAPTION: Final = "A sunrise for you"
SAID: Final[dict[str, Any]] = {"width": 640, "height": 360, "duration": 8}
"""What the channel says of its video: pixels and seconds."""
_NAME: Final = "sunrise.mp4"


async def make_sample_video(directory: Path) -> Path:
    """A file in this directory. Takes about a second. Raises `Unavailable`."""
    await run_ffmpeg(
        directory,
        ("-filter_complex", graph(**{"seconds" if name == "duration" else name: value for name, value in SAID.items()})),
        ("-map", "[picture]", "-map", "[sound]", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"),
        ("-c:a", "aac", "-b:a", "64k", "-movflags", "+faststart", _NAME),
    )
    return directory / _NAME
