"""History searched and paged over HTTP: `python -m bench.history ADDRESS DATABASE ANSWER` writes JSON.

Of one account ten thousand entries, among a hundred thousand of others that ended in between. It asks with a token of its own, one
request after the other on one connection, as somebody does who looks through a list.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import aiohttp

OWN, OTHERS, PAGE, ROUNDS = 10_000, 100_000, 50, 40
PASSWORD = "a long enough pass phrase"
WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima", "mike")
_AT = "strftime('%Y-%m-%d %H:%M:%S.000000', 1700000000 + 20 * n, 'unixepoch')"
_EVERY = (OWN + OTHERS) // OWN
FILL = f"""
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {OWN + OTHERS}),
    rows AS (SELECT n, CASE WHEN n % {_EVERY} = 0 THEN :own ELSE :other END AS whose, n / {_EVERY} AS k FROM numbers),
    titled AS (SELECT rows.*, 'Episode ' || k || ': ' || first.value || ' and ' || second.value || ', as it was told on the day' AS title
        FROM rows JOIN json_each(:words) AS first ON first.key = k % {len(WORDS)}
        JOIN json_each(:words) AS second ON second.key = k / {len(WORDS)} % {len(WORDS)})
    INSERT INTO history_entries (job_id, attempt, account_id, download_session_id, origin, outcome, title, url, message, code, files, words,
        link_id, link_name, items, items_done, items_failed, started_at, ended_at)
    SELECT lower(hex(randomblob(16))), 1, whose, lower(hex(randomblob(16))), 'link', CASE WHEN n % 10 THEN 'success' ELSE 'failure' END,
        title, 'https://media.example.com/watch/' || n, 'Downloaded 1 file.', NULL, json_array(title || '.mp3'),
        lower(title || ' https://media.example.com/watch/' || n || ' My Favorite Channel ' || (k % 20)),
        k % 20, 'My Favorite Channel ' || (k % 20), 1, 1, 0, {_AT}, {_AT}
    FROM titled ORDER BY n
"""
ASKED = {
    "two words": {"q": "delta KILO"},
    "two words that many have": {"q": "episode day"},
    "two words that none has": {"q": "delta xylophone"},
    "one link": {"link_id": "7"},
    "one link, two words": {"link_id": "7", "q": "hotel day"},
    "failures": {"status": "failure"},
    "first page": {},
}


async def token_of(client: aiohttp.ClientSession, name: str) -> tuple[int, dict[str, str]]:
    about = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    async with client.post("/api/v1/users/", json=about) as made:
        account = (await made.json())["id"]
    async with client.post("/api/v1/login/access-token", data={"username": name, "password": PASSWORD}) as login:
        return account, {"Authorization": f"Bearer {(await login.json())['access_token']}"}


def fill(database: Path, own: int, other: int) -> None:
    connection = sqlite3.connect(database, timeout=60)
    with connection:
        connection.execute(FILL, {"own": own, "other": other, "words": json.dumps(WORDS)})
    connection.close()


async def page(client: aiohttp.ClientSession, path: str) -> tuple[float, int, str | None]:
    """Milliseconds until the whole answer is there, how many entries it has, and where the next page is."""
    begun = time.perf_counter()
    async with client.get(path) as answer:
        body = await answer.read()
        assert answer.status == 200, body
    took = (time.perf_counter() - begun) * 1000
    following = answer.links.get("next")
    return took, len(json.loads(body)), str(following["url"]) if following else None


async def measure(address: str, database: Path) -> dict[str, float]:
    """Of each the median milliseconds, after two rounds that do not count."""
    async with aiohttp.ClientSession(address) as client:
        await token_of(client, "superuser")
        other, _ = await token_of(client, "other")
        own, headers = await token_of(client, "own")
    await asyncio.to_thread(fill, database, own, other)
    times: dict[str, list[float]] = {name: [] for name in (*ASKED, "by cursor", "searched, by cursor")}
    async with aiohttp.ClientSession(address, headers=headers) as client:
        following: dict[str, str | None] = {"by cursor": None, "searched, by cursor": None}
        begins = {"by cursor": f"/api/v1/history/?limit={PAGE}", "searched, by cursor": f"/api/v1/history/?limit={PAGE}&q=episode%20day"}
        for _ in range(ROUNDS + 2):
            for name, asked in ASKED.items():
                took, found, _ = await page(client, f"/api/v1/history/?{urlencode({'limit': PAGE, **asked})}")
                assert bool(found) is ("none" not in name), f"{name}: {found}"
                times[name].append(took)
            for name, begin in begins.items():
                took, _, following[name] = await page(client, following[name] or begin)
                times[name].append(took)
    return {name: statistics.median(measured[2:]) for name, measured in times.items()}


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(asyncio.run(measure(sys.argv[1], Path(sys.argv[2])))))
