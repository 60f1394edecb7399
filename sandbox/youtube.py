"""The YouTube stand-in, as a directory that can be given to yt-dlp."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_TEMPLATE = Path(__file__).parent / "youtube_plugin"
_MODULE = Path("yt_dlp_plugins") / "extractor" / "local_youtube.py"


def write_plugin(directory: Path, base: str, sizes: Mapping[str, int] | None = None) -> Path:
    """Write the plugin for the media site at `base` (`http://127.0.0.1:PORT`) into `directory`; returns what to give as `--plugin-dirs`.

    yt-dlp looks for `*/yt_dlp_plugins` in it, one level down. `sizes` are the media's, as `MediaFiles.sizes` gives them: with them the
    formats say how large they are, as YouTube's do. What each video id does is told in `local_youtube.py`.
    """
    source = (_TEMPLATE / _MODULE).read_text()
    for constant, value in (("BASE = ", base), ("SIZES: dict[str, int] = ", dict(sizes or {}))):
        source = _with_constant(source, constant, repr(value))
    target = directory / "youtube" / _MODULE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source)
    return directory


def _with_constant(source: str, start: str, value: str) -> str:
    lines = source.splitlines(keepends=True)
    (place,) = (number for number, line in enumerate(lines) if line.startswith(start))
    lines[place] = f"{start}{value}\n"
    return "".join(lines)
