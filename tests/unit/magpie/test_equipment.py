from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from magpie.checks import program_checks
from magpie.config import Config
from magpie.doctor import examine
from magpie.equipment import Machine, Programs, age_of, released
from scraper.tools import Tool, inventory
from service.health import Condition, Finding
from tests.support.fakes import FakeClock


class Shelf:
    """What is installed; counts how often somebody looks."""

    def __init__(self, *tools: Tool) -> None:
        self.tools, self.looks = list(tools), 0

    def take_stock(self) -> list[Tool]:
        self.looks += 1
        if not self.tools:
            raise OSError("it cannot be looked at")
        return self.tools


def a_tool(name: str, version: str | None = "1.0", problem: str | None = None) -> Tool:
    return Tool(name=name, version=version, path=None, problem=problem, advice="Install it." if problem else None)


def a_shelf(*others: Tool) -> Shelf:
    """Everything is there, but for the others."""
    fine = {name: a_tool(name) for name in ("yt-dlp-ejs", "ffmpeg", "deno")} | {"yt-dlp": a_tool("yt-dlp", "2026.10.26")}
    return Shelf(*(fine | {tool.name: tool for tool in others}).values())


async def found(shelf: Shelf, clock: FakeClock) -> dict[str, Finding]:
    return {check.name: await check.look() for check in program_checks(Programs(shelf.take_stock), clock)}


async def test_where_everything_is_there_all_is_well(clock: FakeClock) -> None:
    assert await found(a_shelf(), clock) == {"ffmpeg": Finding(), "yt-dlp": Finding(), "javascript": Finding()}


@pytest.mark.parametrize(
    ("tool", "check", "condition"),
    [
        ("ffmpeg", "ffmpeg", Condition.UNHEALTHY),
        ("yt-dlp", "yt-dlp", Condition.UNHEALTHY),
        ("deno", "javascript", Condition.DEGRADED),
        ("yt-dlp-ejs", "javascript", Condition.DEGRADED),
    ],
)
async def test_what_is_missing_is_told_with_what_to_do(clock: FakeClock, tool: str, check: str, condition: Condition) -> None:
    findings = await found(a_shelf(a_tool(tool, None, "is missing")), clock)
    assert findings.pop(check) == Finding(condition=condition, cause=f"{tool}: is missing. Install it.")
    assert set(findings.values()) == {Finding()}


@pytest.mark.parametrize(("days", "condition"), [(0, Condition.HEALTHY), (59, Condition.HEALTHY), (60, Condition.DEGRADED)])
async def test_yt_dlp_is_degraded_from_its_sixtieth_day(clock: FakeClock, days: int, condition: Condition) -> None:
    clock.time = datetime(2026, 10, 26, 23, tzinfo=UTC) + timedelta(days=days)
    assert (await found(a_shelf(), clock))["yt-dlp"].condition is condition


async def test_the_age_is_part_of_the_cause(clock: FakeClock) -> None:
    clock.time = datetime(2027, 1, 4, tzinfo=UTC)
    assert "yt-dlp 2026.10.26 is 70 days old" in str((await found(a_shelf(), clock))["yt-dlp"].cause)


async def test_a_yt_dlp_that_does_not_say_when_it_was_made_is_well(clock: FakeClock) -> None:
    assert (await found(a_shelf(a_tool("yt-dlp", "my-own")), clock))["yt-dlp"] == Finding()


@pytest.mark.parametrize("version", ["2026.10.26", "2026.10.26.post1", "2026.10.26.232907", "2026.10.26.dev0"])
def test_every_kind_of_release_has_its_day(version: str) -> None:
    assert str(released(version)) == "2026-10-26"


@pytest.mark.parametrize("version", [None, "", "1.2", "2026.13.45", "2026.10.261", "stable"])
def test_what_names_no_day_has_no_age(version: str | None) -> None:
    assert age_of(version, datetime(2027, 1, 1, tzinfo=UTC)) is None


async def test_programs_are_looked_for_once_however_many_ask() -> None:
    shelf = a_shelf()
    programs = Programs(shelf.take_stock)
    await asyncio.gather(*(programs.all() for _ in range(5)))
    await programs.all()
    assert shelf.looks == 1


async def test_a_look_that_failed_is_not_remembered() -> None:
    shelf = Shelf()
    programs = Programs(shelf.take_stock)
    with pytest.raises(OSError, match="cannot be looked at"):
        await programs.all()
    shelf.tools.append(a_tool("ffmpeg"))
    assert list(await programs.all()) == ["ffmpeg"]


async def test_who_changed_the_programs_can_have_them_looked_for_again() -> None:
    shelf = a_shelf()
    programs = Programs(shelf.take_stock)
    await programs.all()
    programs.look_again()
    await programs.all()
    assert shelf.looks == 2


async def test_a_look_goes_on_when_who_asked_has_lost_patience() -> None:
    programs = Programs(inventory)
    asked = asyncio.create_task(programs.all())
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    looking = programs._looking
    await programs.all()
    assert programs._looking is looking


def test_the_machine_has_a_processor_memory_and_a_disk(tmp_path: Path) -> None:
    figures = Machine(tmp_path).figures()
    assert figures.cpus >= 1
    assert 0 <= figures.cpu_percent <= 100
    assert 0 < figures.memory_used_bytes < figures.memory_total_bytes
    assert 0 < figures.disk_used_bytes < figures.disk_total_bytes


async def test_doctor_tells_how_old_yt_dlp_is_once_that_is_too_old(clock: FakeClock, tmp_path: Path) -> None:
    config = Config(_env_file=None, data_dir=tmp_path)
    told = {}
    for when in ("young", "old"):
        told[when] = next(one for one in await examine(config, clock) if one.name == "yt-dlp")
        clock.move(timedelta(days=3650))
    assert (told["young"].advice, "days old" in told["old"].found) == (None, True)
    assert (told["old"].problem, "newer yt-dlp" in str(told["old"].advice)) == (None, True)
