"""What a worker has for all its jobs, and whom it talks to while it works on one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scraper.downloader import Extractors
from scraper.failures import JobFailed
from scraper.guard import Guard


class Talk(Protocol):
    """The other side of the conversation."""

    def identified(self, found: dict[str, Any]) -> bool:
        """True for go, False for stop."""
        ...

    def progress(self, state: dict[str, Any]) -> None: ...
    def proxy(self) -> tuple[str, int]:
        """Where the filtering proxy listens."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What a worker has for all its jobs."""

    extractors: Extractors
    guard: Guard
    ffmpeg: str
    deno: str | None
    state_directory: Path


def no_proxy() -> tuple[str, int]:
    """For what must not start an ffmpeg that fetches. Raises `JobFailed`."""
    raise JobFailed("unsupported", "ffmpeg has nothing to fetch here")
