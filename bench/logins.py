"""A hundred people log in at once: what somebody else notices. `python -m bench.logins ADDRESS ANSWER` writes JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

PEOPLE, IDLE, GAP = 100, 400, 0.005
PASSWORD = "a long enough pass phrase"


async def asked(client: aiohttp.ClientSession, times: list[float]) -> None:
    begun = time.perf_counter()
    async with client.get("/api/v1/users/me") as answer:
        await answer.read()
        assert answer.status == 200
    times.append((time.perf_counter() - begun) * 1000)
    await asyncio.sleep(GAP)


async def log_in(client: aiohttp.ClientSession, name: str) -> None:
    async with client.post("/api/v1/login/access-token", data={"username": name, "password": PASSWORD}) as answer:
        assert answer.status == 200, await answer.text()


def p99(times: list[float]) -> float:
    return sorted(times)[max(0, round(len(times) * 0.99) - 1)]


async def measure(address: str) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=300)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(address, timeout=timeout, connector=connector) as crowd, aiohttp.ClientSession(address) as other:
        for number in range(PEOPLE):
            body = {"username": f"p{number}", "email": f"p{number}@example.com", "password": PASSWORD}
            async with crowd.post("/api/v1/users/", json=body) as answer:
                assert answer.status == 200, await answer.text()
        idle: list[float] = []
        for _ in range(IDLE):
            await asked(other, idle)
        busy: list[float] = []
        begun = time.perf_counter()
        logins = asyncio.gather(*(log_in(crowd, f"p{number}") for number in range(PEOPLE)))
        while not logins.done():
            await asked(other, busy)
        await logins
    return {"idle_ms": p99(idle), "busy_ms": p99(busy), "samples": len(busy), "all_s": time.perf_counter() - begun}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(asyncio.run(measure(sys.argv[1]))))
