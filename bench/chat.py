"""The chat's targets, against a sandbox in this process: `python -m bench.chat SITE DIRECTORY ANSWER [names]` writes JSON."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.house import SCRIPTS, free_port
from sandbox.bot_api import BotApi, Limits
from sandbox.youtube import write_plugin

BURST, RATE, STEADY = 200, 20, 240
CHATS, JOBS = 200, 50
FLOODED_SECONDS = 15


def settings(api: BotApi, site: str, directory: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MAGPIE_")},
        "MAGPIE_DATA_DIR": str(directory),
        "MAGPIE_PORT": str(free_port()),
        "MAGPIE_BOT_TOKEN": api.token,
        "MAGPIE_BOT_API_URL": api.base,
        "MAGPIE_OPEN_TO_ALL": "true",
        "MAGPIE_EGRESS_ALLOW": site.removeprefix("http://"),
        "MAGPIE_YTDLP_PLUGIN_DIRS": str(write_plugin(directory.with_suffix(".plugins"), site)),
        "MAGPIE_MIN_FREE_DISK": "100MB",
        "MAGPIE_LOG_FORMAT": "json",
    }


@asynccontextmanager
async def process(command: list[str], log: Path, environment: dict[str, str] | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("ab") as file:
        started = await asyncio.create_subprocess_exec(*command, env=environment, stdout=file, stderr=file)
        try:
            yield started
        finally:
            if started.returncode is None:
                started.terminate()
                await asyncio.wait_for(started.wait(), 40)


@asynccontextmanager
async def magpie(api: BotApi, site: str, directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`magpie run` that has answered once, with its workers warm."""
    async with process([str(SCRIPTS / "magpie"), "run"], directory.with_suffix(".log"), settings(api, site, directory)) as started:
        first = api.user(1, first_name="First")
        await first.says(f"{site}/n/warm.mp4")
        await api.until(lambda: any("video" in message for message in api.sent(1)), timeout=90)
        yield started


class Eyes:
    """How long it takes from a message to the reaction, in milliseconds."""

    def __init__(self, api: BotApi) -> None:
        self._api = api
        self._asked: dict[int, float] = {}
        self.took: list[float] = []
        api.subscribe(self._seen)

    def _seen(self, kind: str, payload: Any) -> None:
        if kind == "reaction" and (asked := self._asked.pop(payload["chat_id"], None)) is not None:
            self.took.append((time.perf_counter() - asked) * 1e3)

    async def p99(self, first_user: int, count: int, site: str, *, every: float) -> float:
        self.took = []
        for number in range(first_user, first_user + count):
            user = self._api.user(number)
            self._asked[number] = time.perf_counter()
            await user.says(f"{site}/status/404?eyes={number}")  # a card that says so, and no download beside the measurement
            if every:
                await asyncio.sleep(every)
        await self._api.until(lambda: len(self.took) >= count, timeout=90)
        return sorted(self.took)[int(len(self.took) * 0.99) - 1]


async def eyes(site: str, directory: Path) -> dict[str, float]:
    """In turn with a bare bot, three rounds; medians of the 99th percentiles."""
    found: dict[str, list[float]] = {"steady": [], "burst": [], "bare_steady": [], "bare_burst": []}
    async with (
        BotApi(directory=directory / "api1") as api,
        BotApi(directory=directory / "api2", token="1000000002:bare-bot-token") as bare_api,
    ):
        bare_command = [sys.executable, "-m", "bench.bare_bot", bare_api.token, bare_api.base]
        async with magpie(api, site, directory / "eyes"), process(bare_command, directory / "bare.log"):
            first = bare_api.user(1)
            await first.says("hello")
            await bare_api.until(lambda: bare_api.reactions, timeout=60)
            ours, bare = Eyes(api), Eyes(bare_api)
            for round_ in range(3):
                start = 10_000 * (round_ + 1)
                for name, one in (("", ours), ("bare_", bare)):
                    found[f"{name}steady"].append(await one.p99(start, STEADY, site, every=1 / RATE))
                    await settled(one._api)  # noqa: SLF001 - the same file
                    found[f"{name}burst"].append(await one.p99(start + 5_000, BURST, site, every=0))
                    await settled(one._api)  # noqa: SLF001 - the same file
    return {name: statistics.median(values) for name, values in found.items()}


async def settled(api: BotApi) -> None:
    """Until the bot has been silent for two seconds: what it still does belongs to nobody's measurement."""
    while True:
        before = len(api.calls)
        await asyncio.sleep(2)
        if len([call for call in list(api.calls)[before:] if call.method != "getUpdates"]) == 0:
            return


async def hit(site: str, directory: Path) -> dict[str, float]:
    """A link whose file is stored: until it is back."""
    async with BotApi(directory=directory / "api3") as api, magpie(api, site, directory / "hit"):
        url = "https://www.youtube.com/watch?v=STOREHITxx1"
        alice = api.user(2)
        await alice.says(url)
        await api.until(lambda: any("video" in message for message in api.sent(2)), timeout=60)
        took = []
        for _ in range(30):
            count = len(api.sent(2))
            start = time.perf_counter()
            await alice.says(url)
            await until_more(api, 2, count)
            took.append((time.perf_counter() - start) * 1e3)
            await asyncio.sleep(1.2)
    return {"median_ms": statistics.median(took), "max_ms": max(took)}


async def until_more(api: BotApi, chat: int, count: int) -> None:
    await api.until(lambda: len(api.sent(chat)) > count and "video" in api.sent(chat)[-1], timeout=20)


async def crowd(site: str, directory: Path) -> dict[str, float]:
    """200 chats, 50 of them with jobs, Telegram's limits enforced; one chat is flood-limited on script."""
    async with BotApi(directory=directory / "api4", limits=Limits.telegram()) as api, magpie(api, site, directory / "crowd"):
        ended: dict[int, float] = {}
        answered: dict[int, float] = {}

        def seen(kind: str, payload: Any) -> None:
            if kind in {"message", "edit"} and payload.get("from", {}).get("is_bot"):
                chat = payload["chat"]["id"]
                if "video" in payload:
                    ended.setdefault(chat, time.perf_counter())
                answered.setdefault(chat, time.perf_counter())

        api.subscribe(seen)
        flooded = 20_000
        api.fail_next("sendMessage", 429, "Too Many Requests", chat_id=flooded, retry_after=FLOODED_SECONDS)
        api.fail_next("sendPhoto", 429, "Too Many Requests", chat_id=flooded, retry_after=FLOODED_SECONDS)
        start = time.perf_counter()
        for number in range(CHATS):
            user = api.user(20_000 + number)
            await user.says(f"{site}/throttled/400/n/crowd{number}.mp4" if number < JOBS else "/help")
        await api.until(lambda: len(answered) >= CHATS and len(ended) >= JOBS, timeout=400)
        refused = list(api.refusals)
        unscripted = [one for one in refused if one.code == 429 and not _is_scripted(one, flooded)]
        others = sorted(value - start for chat, value in answered.items() if chat != flooded and chat >= flooded + JOBS)
        return {
            "unscripted_429": len(unscripted),
            "refused": len(refused),
            "help_p99_s": others[int(len(others) * 0.99) - 1],
            "flooded_s": answered[flooded] - start,
            "all_files_s": max(ended.values()) - start,
        }


def _is_scripted(refusal: Any, flooded: int) -> bool:
    return str(flooded) in str(refusal)


async def idle(site: str, directory: Path) -> dict[str, float]:
    """Ten seconds after its last work."""
    async with BotApi(directory=directory / "api5") as api, magpie(api, site, directory / "idle") as started:
        bare = subprocess.Popen([sys.executable, "-m", "bench.bare_imports"], stdout=subprocess.PIPE)
        assert bare.stdout is not None
        await asyncio.to_thread(bare.stdout.readline)
        await asyncio.sleep(10)
        us = psutil.Process(started.pid)
        everybody = [us, *us.children(recursive=True)]
        before = sum(sum(one.cpu_times()[:2]) for one in everybody)
        await asyncio.sleep(20)
        used = sum(sum(one.cpu_times()[:2]) for one in everybody if one.is_running()) - before
        found = {
            "service_mb": us.memory_full_info().pss / 1e6,
            "imports_mb": psutil.Process(bare.pid).memory_full_info().pss / 1e6,
            "cpu_percent": used / 20 * 100,
            "all_mb": sum(one.memory_full_info().pss for one in everybody) / 1e6,
        }
        bare.terminate()
        bare.wait(10)
        return found


MEASUREMENTS = {"eyes": eyes, "hit": hit, "crowd": crowd, "idle": idle}


async def main(site: str, directory: Path, answer: Path, names: list[str]) -> None:
    found = {name: await MEASUREMENTS[name](site, directory) for name in names or MEASUREMENTS}
    answer.write_text(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
