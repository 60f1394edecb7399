"""What the service works with: programs, their age, and the machine itself. For health, status and `magpie doctor`."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil

from scraper.tools import Tool, inventory
from service.health import Condition, Finding
from service.metrics import MachineFigures

REQUIRED = frozenset({"yt-dlp", "ffmpeg"})
"""Programs without which nothing can be downloaded at all."""
OLD_AFTER = timedelta(days=60)
"""Sites change: what was made for them before that fails more and more often."""
RENEW = "Sites change, and downloads fail: `magpie update-extractors` gets a newer yt-dlp."
_RELEASE = re.compile(r"(\d{4})\.(\d{1,2})\.(\d{1,2})(?!\d)")


class Programs:
    """What Magpie works with. Looked for once, when somebody asks, and again after each `look_again`."""

    def __init__(self, take_stock: Callable[[], Sequence[Tool]] = inventory) -> None:
        """`take_stock` runs programs: it is called in a thread."""
        self._take_stock = take_stock
        self._looking: asyncio.Task[Sequence[Tool]] | None = None

    async def all(self) -> Mapping[str, Tool]:
        """By their names."""
        if self._looking is None or (self._looking.done() and (self._looking.cancelled() or self._looking.exception())):
            self._looking = asyncio.create_task(asyncio.to_thread(self._take_stock), name="programs")
        # Who asks may lose patience; the look goes on, for those who ask next.
        return {tool.name: tool for tool in await asyncio.shield(self._looking)}

    def look_again(self) -> None:
        """They were changed."""
        self._looking = None


def released(version: str | None) -> date | None:
    """The day that yt-dlp's version names; None for one that names none."""
    match = _RELEASE.match(version or "")
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def age_of(version: str | None, now: datetime) -> timedelta | None:
    """How long ago this yt-dlp was released."""
    day = released(version)
    return None if day is None else now.astimezone(UTC).date() - day


def finding_of(*tools: Tool | None) -> Finding:
    """Of programs that serve one purpose: the worst of them, with what to do about it."""
    wrong = [tool for tool in tools if tool is not None and tool.problem is not None]
    if not wrong:
        return Finding()
    worst = next((tool for tool in wrong if tool.name in REQUIRED), wrong[0])
    told = f"{worst.name}: {worst.problem}. {worst.advice or ''}".rstrip()
    return Finding(condition=Condition.UNHEALTHY if worst.name in REQUIRED else Condition.DEGRADED, cause=told)


def finding_of_ytdlp(tool: Tool | None, now: datetime) -> Finding:
    """Whether it is there, and young enough."""
    if tool is None or tool.problem is not None:
        return finding_of(tool)
    age = age_of(tool.version, now)
    if age is None or age < OLD_AFTER:
        return Finding()
    return Finding(condition=Condition.DEGRADED, cause=f"yt-dlp {tool.version} is {age.days} days old. {RENEW}")


def version_of(package: str) -> str | None:
    """Of an installed package; None when it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


class Machine:
    """Processor, memory and disk. The processor's use is that since it was asked for last."""

    def __init__(self, directory: Path) -> None:
        """`directory` is on the disk that matters, and exists."""
        self._directory = directory
        psutil.cpu_percent()  # the first answer means nothing

    def figures(self) -> MachineFigures:
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._directory))
        return MachineFigures(
            cpus=os.cpu_count() or 1,
            cpu_percent=psutil.cpu_percent(),
            memory_total_bytes=memory.total,
            memory_used_bytes=memory.total - memory.available,
            disk_total_bytes=disk.total,
            disk_used_bytes=disk.used,
        )
