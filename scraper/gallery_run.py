"""One run of gallery-dl as a process: its configuration, its environment, its bounds, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scraper.forks import killed
from service.errors import TooLarge, Unsupported

_ROOT = Path(__file__).resolve().parent.parent
_MAX_SAID = 32 * 1024 * 1024
_LOOK_EVERY = 0.2
_PLUGINS = "gallery_dl_plugins"
_FILES_A_POST = 100
"""More than sites allow: what is one post without end is not read to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a run ended: gallery-dl's exit status is a set of bits, 64 of them "nothing for this address"."""

    status: int
    output: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run may do. `scratch` is a directory of its own; `port` that of its filtering proxy, its only way out."""

    scratch: Path
    home: Path
    port: int
    plugin_dirs: tuple[Path, ...]
    max_items: int
    max_bytes: int
    cookies: str | None = field(default=None, repr=False)
    """A cookies.txt."""

    async def list(self, address: str, posts: range | None = None) -> Said:
        """What is there, as gallery-dl's JSON; of somebody's many posts those in `posts`, counted from 1."""
        return await self._run(address, "-j", posts=posts)

    async def download(self, address: str, directory: Path, watch: Callable[[int], Awaitable[None]]) -> Said:
        """Fetch into `directory`; the output names the finished files in their order. `watch` is told the bytes that came.

        Raises `TooLarge` as soon as more came than the bound allows.
        """
        run = asyncio.create_task(self._run(address, "-D", str(directory)))
        try:
            while not (await asyncio.wait({run}, timeout=_LOOK_EVERY))[0]:
                came = await asyncio.to_thread(_bytes_in, directory)
                if came > self.max_bytes:
                    raise TooLarge
                await watch(came)
            said = await run
            if said.status == -signal.SIGXFSZ:
                raise TooLarge
            return said
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

    async def _run(self, address: str, *arguments: str, posts: range | None = None) -> Said:
        config = self.scratch / "gallery-dl.json"
        await asyncio.to_thread(self._write, config, posts)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-P", "-m", "scraper.gallery_process", str(os.getpid()), str(self.port), str(self.max_bytes), "--",
            "--config-ignore", "--config", str(config), "--no-input", "--no-colors", *arguments, "--", address,
            env=self._environment(), cwd=self.scratch, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        output = bytearray()
        try:
            while piece := await process.stdout.read(65536):
                output += piece
                if len(output) > _MAX_SAID:
                    raise Unsupported
            return Said(status=await process.wait(), output=bytes(output))
        finally:
            await asyncio.shield(killed(process))
            self._cookies_file.unlink(missing_ok=True)

    @property
    def _cookies_file(self) -> Path:
        return self.scratch / "cookies.txt"

    def _write(self, config: Path, posts: range | None) -> None:
        config.write_text(json.dumps(self._config(posts)))
        if self.cookies:
            self._cookies_file.touch(0o600, exist_ok=False)
            self._cookies_file.write_text(self.cookies, encoding="utf-8")

    def _config(self, posts: range | None) -> dict[str, Any]:
        proxy = f"http://127.0.0.1:{self.port}"
        plugins = [str(found) for directory in self.plugin_dirs for found in sorted(directory.absolute().glob(f"*/{_PLUGINS}"))]
        return {
            "extractor": {
                **({"module-sources": [*plugins, None]} if plugins else {}),
                "proxy": proxy,
                "netrc": False,
                # Each is sent to the site that it names, and none is written back.
                "cookies": str(self._cookies_file) if self.cookies else None,
                "cookies-update": False,
                "timeout": 20.0,
                "retries": 2,
                "sleep-429": 5,
                **_ranges(posts, self.max_items),
                # One post, not what it refers to.
                "children": False,
                # Names are ours: none that a site chose gets to the disk.
                "filename": "\fE hash_sha1(_url) + '.' + ''.join(c for c in (extension or 'bin') if c.isalnum())[:8]",
                "directory": [],
                "postprocessors": [],
                "write-pages": False,
            },
            "downloader": {
                "proxy": proxy, "mtime": False, "part": False, "progress": None, "filesize-max": self.max_bytes,
                "ytdl": {"enabled": False}, "text": {"enabled": False},
            },
            "output": {"mode": "pipe", "progress": False, "log": {"level": "critical"}},
            "cache": {"file": ":memory:"},
        }  # fmt: skip

    def _environment(self) -> dict[str, str]:
        proxy = f"http://127.0.0.1:{self.port}"
        proxies = {name: proxy for kind in ("http", "https", "all") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())}
        return {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(_ROOT),
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.home),
            "TMPDIR": str(self.scratch),
            "LANG": "C.UTF-8",
            **proxies,
        }


def _ranges(posts: range | None, max_items: int) -> dict[str, str]:
    """Of one post, a file more than may come; of many, so many of them."""
    if posts is None:
        return {"file-range": f"1-{max_items + 1}"}
    some = f"{posts.start}-{posts.stop - 1}"
    return {"post-range": some, "child-range": some, "file-range": f"1-{len(posts) * _FILES_A_POST}"}


def _bytes_in(directory: Path) -> int:
    total = 0
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total
