"""Makes the zygote warm: all that the first job of a process would pay for is done once, before the fork.

That is: plugins, the list of extractors and their patterns, one page and one file over HTTP, one ffmpeg run. The HTTP server is ours, on a
loopback port that exists only for that moment; nothing is asked of the net.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from yt_dlp import globals as ytdlp_globals
from yt_dlp.networking import common
from yt_dlp.networking.common import _REQUEST_HANDLERS
from yt_dlp.plugins import load_all_plugins
from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor

from scraper.downloader import default_extractors, install_downloaders
from scraper.egress import EgressPolicy
from scraper.equipment import Equipment
from scraper.failures import JobFailed, cause_of
from scraper.guard import Guard
from scraper.options import ytdlp_options
from scraper.wire import JobSpec
from scraper.workshop import Workshop
from scraper.ytdlp import Job
from service.selection import Selection

_PAGE = """<!DOCTYPE html><html><head><title>Page</title><meta property="og:title" content="Page">
<meta property="og:video" content="{base}/clip.mp4"><meta property="og:image" content="{base}/none.jpg">
<script type="application/ld+json">{{"@context": "https://schema.org", "@type": "VideoObject", "name": "Page",
"contentUrl": "{base}/clip.mp4"}}</script></head><body><p>Text</p></body></html>"""
_NOWHERE = "https://www.example.invalid/watch?v=abcdefghijk"


def heated(equipment: Equipment) -> tuple[Workshop, list[str]]:
    """Load everything and run two small jobs; returns what went wrong with them too.

    A heating that fails costs warmth only: the first jobs then take longer.
    """
    _only_named_plugins(equipment.plugin_dirs)
    install_downloaders()
    # Native code of another's, with connections of its own that the guard would not see.
    _REQUEST_HANDLERS.pop("CurlCFFI", None)
    # Reading the certificates of all authorities takes 15 ms: more than all else of a small job together.
    common.make_ssl_context = functools.cache(common.make_ssl_context)
    FFmpegPostProcessor._ffmpeg_location.set(equipment.ffmpeg)  # noqa: SLF001 - the option alone does not reach all of yt-dlp
    options = ytdlp_options(Selection.of(), state_directory=equipment.state_directory, ffmpeg=equipment.ffmpeg, deno=equipment.deno)
    extractors = default_extractors(options)
    workshop = Workshop(
        extractors=extractors,
        guard=Guard(equipment.policy, equipment.ffmpeg, equipment.deno),
        ffmpeg=equipment.ffmpeg,
        deno=equipment.deno,
        state_directory=equipment.state_directory,
    )
    for extractor in extractors.values():
        extractor.suitable(_NOWHERE)
    try:
        trouble = _run_jobs(workshop)
    except (OSError, subprocess.SubprocessError) as error:
        trouble = [f"{type(error).__name__}: {error}"]
    return workshop, trouble


def _only_named_plugins(plugin_dirs: tuple[str, ...]) -> None:
    """The operator's plugins and no others: nothing from a home directory, /etc or the module path."""
    # An empty environment variable of this name would be harmless; one that is set would drop the operator's plugins too.
    os.environ.pop("YTDLP_NO_PLUGINS", None)
    ytdlp_globals.plugin_dirs.value = list(plugin_dirs)
    load_all_plugins()


def _run_jobs(workshop: Workshop) -> list[str]:
    trouble = []
    directory = Path(tempfile.mkdtemp(prefix="heating-", dir=workshop.state_directory))
    try:
        clip = _clip(directory, workshop.ffmpeg)
        with _site(clip) as base:
            # These jobs alone talk to this machine, and the guard's hook is not in place yet.
            own = Guard(EgressPolicy(allow=("127.0.0.1",)), workshop.ffmpeg, workshop.deno)
            shop = replace(workshop, guard=own)
            for path, selection in (("page", Selection.of("audio", "m4a")), ("clip.mp4", Selection.of("video", "mp4"))):
                failure = _run_job(f"{base}/{path}", selection, directory / path.partition(".")[0], shop)
                if failure is not None:
                    trouble.append(f"{path}: {failure.code} ({failure.detail})")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return trouble


def _run_job(url: str, selection: Selection, directory: Path, workshop: Workshop) -> JobFailed | None:
    directory.mkdir()
    spec = JobSpec(
        url=url, digest="0" * 64, selection=selection.key, language=None, directory=str(directory), max_bytes=10**8, max_duration=3600
    )
    try:
        Job(spec, workshop, _Nobody()).run()
    except Exception as error:  # noqa: BLE001 - outermost: whatever goes wrong here goes wrong again, and is told, in the first real job
        return cause_of(error)
    return None


class _Nobody:
    """Listens to the heating's jobs."""

    def identified(self, found: dict[str, Any]) -> bool:
        return bool(found)

    def progress(self, state: dict[str, Any]) -> None: ...

    def proxy(self) -> tuple[str, int]:
        raise OSError("no proxy while heating")


def _clip(directory: Path, ffmpeg: str) -> bytes:
    path = directory / "canned.mp4"
    sources = ["-f", "lavfi", "-i", "color=s=64x64:r=5", "-f", "lavfi", "-i", "sine", "-t", "0.4", "-movflags", "+faststart"]
    command = [ffmpeg, "-nostdin", "-y", "-v", "error", *sources, f"file:{path}"]
    subprocess.run(command, check=True, timeout=30, capture_output=True)  # noqa: S603 - our own list
    return path.read_bytes()


@contextlib.contextmanager
def _site(clip: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            content, kind = {
                "/page": (_PAGE.format(base=base).encode(), "text/html; charset=utf-8"),
                "/clip.mp4": (clip, "video/mp4"),
            }.get(self.path, (b"", ""))
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Sat, 21 Nov 2026 06:07:28 GMT")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - the base class's name

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield base
    finally:
        server.shutdown()
        server.server_close()  # waits for its threads: the zygote forks single-threaded
        thread.join()
