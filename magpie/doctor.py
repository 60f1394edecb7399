"""`magpie doctor`: what is there, what is missing and what to do."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from magpie.config import Config, unknown_names
from magpie.equipment import OLD_AFTER, RENEW, age_of
from magpie.equipment import REQUIRED as PROGRAMS
from magpie.parts import SystemClock, extractors_of, is_running
from scraper.tools import Tool, inventory
from service.ports import Clock

REQUIRED = PROGRAMS | {"data directory", "disk"}
"""Without these nothing can be downloaded at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `problem` is None when it is fine."""

    name: str
    found: str
    problem: str | None = None
    advice: str | None = None

    @property
    def is_fatal(self) -> bool:
        return self.problem is not None and self.name in REQUIRED

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.problem is None}


async def examine(config: Config, clock: Clock | None = None) -> list[Finding]:
    """Look at everything; changes nothing but, when it is missing, makes the data directory."""
    tools = await asyncio.to_thread(lambda: inventory(extractors_of(config).chosen()))
    now = (clock or SystemClock()).now()
    here = [_python(), *(_tool(tool, now) for tool in tools), _data_dir(config), _disk(config), _service(config), _port(config)]
    return here + [_unknown(name) for name in unknown_names()]


def show(findings: list[Finding]) -> None:
    """A table for people, on standard output."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        mark = "[green]✓[/]" if finding.problem is None else "[red]✗[/]" if finding.is_fatal else "[yellow]![/]"
        told = finding.found if finding.problem is None else f"{finding.found}: {finding.problem}".removeprefix(": ")
        table.add_row(mark, finding.name, f"{told}\n→ {finding.advice}" if finding.advice else told)
    Console().print(table)
    wrong = [finding for finding in findings if finding.problem]
    Console().print("Everything is there." if not wrong else f"{len(wrong)} thing{'s' if len(wrong) > 1 else ''} to look at.")


def _python() -> Finding:
    return Finding(name="Python", found=sys.version.split()[0])


def _tool(tool: Tool, now: datetime) -> Finding:
    found = " ".join(part for part in (tool.version, f"({tool.path})" if tool.path else None) if part) or "not found"
    age = age_of(tool.version, now) if tool.name == "yt-dlp" else None
    if tool.problem is None and age is not None and age >= OLD_AFTER:
        # Advice only: an old one still fetches from most sites.
        return Finding(name=tool.name, found=f"{found}, {age.days} days old", advice=RENEW)
    return Finding(name=tool.name, found=found, problem=tool.problem, advice=tool.advice)


def _data_dir(config: Config) -> Finding:
    path = config.data_dir.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / ".doctor"
        probe.write_text("")
        probe.unlink()
    except OSError as wrong:
        advice = "Give the service's user the right to write there, or set MAGPIE_DATA_DIR."
        return Finding(name="data directory", found=str(path), problem=f"cannot be written ({wrong.strerror})", advice=advice)
    return Finding(name="data directory", found=str(path))


def _disk(config: Config) -> Finding:
    place = Path(config.media) if "://" not in config.media else config.data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 10**9:.1f} GB free"
    if free < config.min_free_disk:
        return Finding(name="disk", found=found, problem="too little to download", advice="Free some space, or lower MAGPIE_MIN_FREE_DISK.")
    return Finding(name="disk", found=found)


def _service(config: Config) -> Finding:
    match is_running(config):
        case None:
            return Finding(name="database", found="PostgreSQL")
        case True:
            return Finding(name="service", found="running on this data directory")
        case _:
            return Finding(name="service", found="not running")


def _port(config: Config) -> Finding:
    name, free = f"port {config.port}", True
    with socket.socket() as probe:
        probe.settimeout(1)
        free = probe.connect_ex(("127.0.0.1", config.port)) != 0
    return Finding(name=name, found="free" if free else "in use")


def _unknown(name: str) -> Finding:
    return Finding(name=name, found="", problem="is no setting of Magpie", advice="Look it up in .env.example.")
