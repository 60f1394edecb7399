"""How far a download is, and the size bound kept while bytes arrive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scraper.failures import JobFailed
from service.model import Phase

_EVERY = 0.2


class Meter:
    """Adds up the files of one job. Its `hook` is called by yt-dlp, from several threads for fragments; it raises `JobFailed` with
    `too_large` as soon as more bytes came, or are announced, than the bound allows.
    """

    def __init__(self, max_bytes: int, report: Callable[[dict[str, Any]], None]) -> None:
        self._max_bytes = max_bytes
        self._report = report
        self._lock = threading.Lock()
        self._of: dict[str, int] = {}
        self._announced: dict[str, int] = {}
        self._total: int | None = None
        self._files = 1
        self._began = time.monotonic()
        self._last = 0.0

    @property
    def received(self) -> int:
        return sum(self._of.values())

    def expect(self, sizes: Sequence[int | None]) -> None:
        """The download begins: of this many files, with sizes where they are known."""
        self._files = len(sizes)
        known = [size for size in sizes if size]
        self._total = sum(known) if len(known) == len(sizes) else None
        self._began = time.monotonic()

    def hook(self, state: Mapping[str, Any]) -> None:
        with self._lock:
            name = str(state.get("filename"))
            self._of[name] = int(state.get("downloaded_bytes") or self._of.get(name, 0))
            exact = state.get("total_bytes")
            if exact:
                self._announced[name] = int(exact)
            received = self.received
            if received > self._max_bytes or sum(self._announced.values()) > self._max_bytes:
                raise JobFailed("too_large", f"{received} bytes came, {self._announced} announced")
            now = time.monotonic()
            if now - self._last < _EVERY and state.get("status") != "finished":
                return
            self._last = now
        self._tell(received, now, state)

    def _tell(self, received: int, now: float, state: Mapping[str, Any]) -> None:
        total = self._total
        if total is None and self._files == 1:
            total = state.get("total_bytes") or state.get("total_bytes_estimate")
        # The state's own speed is of one file or one connection; the person asks for all of it.
        elapsed = now - self._began
        speed = received / elapsed if elapsed > 0 else None
        eta = (total - received) / speed if total and speed and total >= received else None
        shown = {"phase": Phase.DOWNLOADING, "downloaded": received, "total": int(total) if total else None, "speed": speed, "eta": eta}
        self._report(shown)
