"""What a check of a link is compared with: `yt-dlp --flat-playlist -I 1:30` in a warm process.

`python -m bench.bare_listing PLUGINS ADDRESS` lists once for each line that it reads, and answers with the seconds, the processor's
seconds and the number of items, as JSON. One `YoutubeDL` is built for all of them, with the sandbox's stand-in for YouTube.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ITEMS = 30
WARM = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one listing."""

    seconds: float
    cpu: float
    items: int


class BareListing:
    """The warm process. Each `list` is one listing."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def list(self) -> Cost:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("list\n")
        self._process.stdin.flush()
        return Cost(**json.loads(self._process.stdout.readline()))


@contextmanager
def bare_listing(plugins: Path, address: str) -> Iterator[BareListing]:
    """`plugins` is what `sandbox.youtube.write_plugin` returned."""
    command = [sys.executable, "-m", "bench.bare_listing", str(plugins), address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        bare = BareListing(process)
        for _ in range(WARM):
            bare.list()
        try:
            yield bare
        finally:
            process.kill()


def main() -> None:
    # Only here: the bench itself stays without yt-dlp.
    from yt_dlp import YoutubeDL  # noqa: PLC0415
    from yt_dlp import globals as ytdlp_globals  # noqa: PLC0415
    from yt_dlp.plugins import load_all_plugins  # noqa: PLC0415

    plugins, address = sys.argv[1:]
    ytdlp_globals.plugin_dirs.value = [plugins]
    load_all_plugins()
    options = {"quiet": True, "no_warnings": True, "noprogress": True, "extract_flat": "in_playlist", "playlist_items": f"1:{ITEMS}"}
    with YoutubeDL(options) as ydl:
        for _ in sys.stdin:
            start, cpu = time.perf_counter(), time.process_time()
            found = ydl.extract_info(address, download=False)
            cost = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, "items": len(found["entries"])}
            print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    main()
