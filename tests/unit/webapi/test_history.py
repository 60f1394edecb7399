"""History over HTTP: who gets which entries, what may be asked, and the files to take away."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from aiohttp import web

from service import history as history_module
from service.history import Histories
from service.media_url import MediaUrl
from service.model import DownloadSession, HistoryEntry, Job, JobFile, MediaFile, MediaKey, Origin, Outcome
from service.selection import MediaType, Selection
from service.signed_links import SignedLinks
from storage.database import SqlDatabase
from storage.migrate import upgrade
from storage.vault import MultiFernetVault
from tests.support.fakes import FakeClock
from tests.unit.webapi.toy import Site, served
from webapi.addresses import Addresses
from webapi.auth import Caller, CallerKind
from webapi.contract import Api
from webapi.history import HistoryEndpoints

HISTORY = "/api/v1/history"


class ByHeader:
    """Whoever says a number is the account of that number; `root` is a superuser."""

    async def identify(self, request: web.Request, *, is_public: bool = False) -> Caller:
        del is_public
        said = request.headers.get("X-As")
        if said is None:
            return Caller(kind=CallerKind.ANONYMOUS, account_id=None, address="192.0.2.1")
        kind = CallerKind.SUPERUSER if said == "root" else CallerKind.USER
        return Caller(kind=kind, account_id=99 if said == "root" else int(said), address="192.0.2.1")

    def address_of(self, request: web.Request) -> str:
        del request
        return "192.0.2.1"


@dataclass
class Reading:
    """A site with history, of accounts 1 and 2."""

    site: Site
    database: SqlDatabase
    clock: FakeClock
    count: int = 0

    async def add(self, title: str | None = "T", account: int = 1, **more: object) -> HistoryEntry:
        self.count += 1
        entry = HistoryEntry(
            job_id=UUID(int=self.count),
            attempt=1,
            account_id=account,
            download_session_id=UUID(int=account),
            origin=Origin.API,
            outcome=Outcome.SUCCESS,
            title=title,
            url=f"https://example.com/{self.count}",
            message="Downloaded 1 file.",
            code=None,
            files=(f"{self.count}.mp3",),
            started_at=self.clock.now() + timedelta(minutes=self.count, seconds=-2.5),
            ended_at=self.clock.now() + timedelta(minutes=self.count),
        )
        async with self.database.write() as transaction:
            await transaction.history.add(replace(entry, **more))  # type: ignore[arg-type]
        return entry

    async def get(self, path: str = "/", who: str | None = "1") -> tuple[int, Any, Any]:
        async with self.site.http.get(HISTORY + path, headers={"X-As": who} if who else {}) as got:
            is_json = got.content_type in {"application/json", "application/problem+json"}
            return got.status, await got.json(content_type=None) if is_json else await got.read(), got

    async def titles(self, query: str = "", who: str = "1") -> list[str]:
        status, found, _ = await self.get(f"/?{query}", who)
        assert status == 200, found
        return [entry["title"] for entry in found]

    async def table(self, query: str = "") -> list[dict[str, str]]:
        _, body, _ = await self.get(f"/export?{query}")
        return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))


@pytest.fixture
async def reading(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Reading]:
    url = f"sqlite:///{tmp_path}/magpie.db"
    await upgrade(url)
    database = SqlDatabase(url)
    async with database.write() as transaction:
        for number in (1, 2):
            await transaction.accounts.add(f"user{number}", clock.now())
            session = DownloadSession(
                id=UUID(int=number),
                folder=UUID(int=number + 100),
                owner_id=number,
                created_by=Origin.API,
                created_at=clock.now(),
                last_activity=clock.now(),
            )
            await transaction.download_sessions.add(session)
    links = SignedLinks(MultiFernetVault(["k" * 32]), clock)
    addresses = Addresses(public_url="https://magpie.example", listen="", links=links, media_ttl=timedelta(hours=24))
    api = Api(title="", version="")
    HistoryEndpoints(histories=Histories(database), addresses=addresses, clock=clock).register(api)
    async with served(api, authenticator=ByHeader()) as site:
        yield Reading(site, database, clock)
    await database.close()


# --- who gets what ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/1", "/export"])
async def test_somebody_unknown_gets_nothing(reading: Reading, path: str) -> None:
    await reading.add()
    assert (await reading.get(path, who=None))[0] == 401


async def test_a_user_gets_their_own_and_a_superuser_everybodys(reading: Reading) -> None:
    await reading.add("mine")
    await reading.add("theirs", account=2)
    assert await reading.titles() == ["mine"]
    assert await reading.titles("account_id=2") == []
    assert await reading.titles(who="root") == ["theirs", "mine"]
    assert await reading.titles("account_id=2", who="root") == ["theirs"]


async def test_an_entry_of_another_is_404(reading: Reading) -> None:
    await reading.add()
    assert [(await reading.get("/1", who))[0] for who in ("1", "root", "2")] == [200, 200, 404]


@pytest.mark.parametrize("number", ["2", str(2**63 - 1)])
async def test_an_entry_that_is_not_there_is_404_and_says_so(reading: Reading, number: str) -> None:
    status, found, _ = await reading.get(f"/{number}")
    assert (status, found["detail"], found["code"]) == (404, "History entry not found", "history_entry_not_found")


# --- what is asked ------------------------------------------------------------------------------------------------------


async def test_every_filter_of_the_list_is_taken(reading: Reading) -> None:
    first = await reading.add("Red cats", link_id=5, outcome=Outcome.FAILURE)
    await reading.add("Blue cats", source_id=UUID(int=7), origin=Origin.CHAT)
    await reading.add("Red dogs", outcome=Outcome.PARTIAL)
    assert await reading.titles("link_id=5") == ["Red cats"]
    assert await reading.titles("status=failure") == ["Red cats"]
    assert await reading.titles(f"source_id={UUID(int=7)}") == ["Blue cats"]
    assert await reading.titles("origin=chat") == ["Blue cats"]
    assert await reading.titles("q=CATS+red") == ["Red cats"]
    assert await reading.titles(f"since={quote(first.ended_at.isoformat())}&status=partial") == ["Red dogs"]
    assert await reading.titles(f"until={quote(first.ended_at.isoformat())}") == []


@pytest.mark.parametrize(
    ("given", "is_after"),
    [
        ("2026-11-21T12:01:00Z", True),
        ("2026-11-21t12:01:00.5z", False),
        ("2026-11-21T13:01:00%2B01:00", True),
        ("2026-11-21T12:01:00", True),
        ("2026-11-21 12:02", False),
        ("2026-11-21", True),
        ("2026-11-22", False),
        ("0001-01-01T00:00:00%2B14:00", True),
        ("9999-12-31T23:59:59-14:00", False),
    ],
)
async def test_a_moment_may_be_written_in_every_usual_way(reading: Reading, given: str, is_after: bool) -> None:  # noqa: FBT001 - a case
    await reading.add("at 12:01")
    assert await reading.titles(f"since={given}") == (["at 12:01"] if is_after else [])


@pytest.mark.parametrize(
    "query",
    ["status=failed", "status=", "origin=me", "source_id=x", "link_id=x", "since=yesterday", "since=1700000000", "until=2026-13-01",
     "until=2026-11-21T25:00:00Z", "limit=501", "skip=-1", "after=x", f"q={'x' * 201}", "account_id=x", "link_id=-1"],
)  # fmt: skip
async def test_what_makes_no_sense_is_422(reading: Reading, query: str) -> None:
    status, found, _ = await reading.get(f"/?{query}")
    assert (status, found["detail"][0]["loc"]) == (422, ["query", query.partition("=")[0]])


async def test_pages_go_by_number_and_by_cursor(reading: Reading) -> None:
    for number in range(5):
        await reading.add(f"T{number}")
    assert await reading.titles("skip=1&limit=2") == ["T3", "T2"]
    _, found, first = await reading.get("/?q=t&limit=3")
    assert ([entry["title"] for entry in found], first.headers["X-Total-Count"]) == (["T4", "T3", "T2"], "5")
    following = first.links["next"]["url"]
    assert await reading.titles(following.query_string) == ["T1", "T0"]
    assert "next" not in (await reading.get(f"/?{following.query_string}"))[2].links


# --- what is shown ------------------------------------------------------------------------------------------------------


async def test_an_entry_shows_everything_that_is_known_of_the_run(reading: Reading) -> None:
    await reading.add("A list", link_id=5, link_name="My Favorite Channel", outcome=Outcome.PARTIAL, items=3, items_done=2, items_failed=1)
    _, found, _ = await reading.get()
    assert found == [
        {
            "id": 1,
            "link_id": 5,
            "link_name": "My Favorite Channel",
            "timestamp": "2026-11-21T12:01:00Z",
            "status": "partial",
            "message": "Downloaded 1 file.",
            "downloaded_files": ["1.mp3"],
            "job_id": str(UUID(int=1)),
            "account_id": 1,
            "source_id": None,
            "origin": "api",
            "title": "A list",
            "url": "https://example.com/1",
            "code": None,
            "started_at": "2026-11-21T12:00:57.500000Z",
            "duration": 2.5,
            "items": 3,
            "items_done": 2,
            "items_failed": 1,
        }
    ]
    assert (await reading.get("/1"))[1] == found[0] | {"files": []}


async def stored(reading: Reading, entry: HistoryEntry, name: str) -> None:
    key, now = MediaKey(scope="public", extractor="site", id="1", selection="audio:mp3:best"), reading.clock.now()
    media = MediaFile(
        key=key, kind=MediaType.AUDIO, extension="mp3", size=9, sha256="0" * 64, location="store/1", title="T", created_at=now
    )
    job = Job(
        id=entry.job_id,
        download_session_id=entry.download_session_id,
        account_id=entry.account_id,
        origin=Origin.API,
        url=MediaUrl.parse(entry.url),
        selection=Selection.of("audio"),
        created_at=now,
    )
    async with reading.database.write() as transaction:
        await transaction.jobs.add(job)
        (file,) = await transaction.media_files.replace(key, [media])
        await transaction.media_files.attach([JobFile(job_id=job.id, media=file, name=name, path=f"x/{name}")])


async def test_an_entry_links_to_those_of_its_files_that_are_still_there(reading: Reading) -> None:
    entry = await reading.add(files=("1.mp3", "deleted.mp3"))
    await stored(reading, entry, "1.mp3")
    _, found, _ = await reading.get("/1")
    (file,) = found["files"]
    assert found["downloaded_files"] == ["1.mp3", "deleted.mp3"]
    assert (file["name"], file["kind"], file["size"], file["path"]) == ("1.mp3", "audio", 9, "x/1.mp3")
    assert file["url"].startswith(f"https://magpie.example/media/downloads/{UUID(int=101)}/{entry.job_id}/1.mp3?e=")


# --- all of it ----------------------------------------------------------------------------------------------------------


async def test_a_csv_file_is_one_that_spreadsheets_open(reading: Reading) -> None:
    await reading.add('Say "hi", twice')
    status, body, got = await reading.get("/export?format=csv")
    assert (status, got.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert got.headers["Content-Disposition"].startswith('attachment; filename="magpie-history-20261121-120000.csv"')
    head, line, end = body.decode().split("\r\n")
    assert head.startswith("\ufeffid,link_id,link_name,timestamp,status,message,downloaded_files,job_id,")
    assert '"Say ""hi"", twice"' in line
    assert end == ""


async def test_a_csv_file_tells_of_an_entry_what_the_list_tells(reading: Reading) -> None:
    await reading.add("Größe\nund so", files=("a, b.mp3", "c.mp3"), link_name=None)
    (shown,) = (await reading.get())[1]
    (told,) = await reading.table()
    expected = {name: "" if value is None else str(value) for name, value in shown.items()}
    assert told == expected | {"downloaded_files": "a, b.mp3\nc.mp3"}


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\n", "＝"])  # noqa: RUF001 - on purpose
async def test_no_cell_of_a_csv_file_is_a_formula(reading: Reading, begin: str) -> None:
    text = f"{begin}HYPERLINK(1)"
    await reading.add(text, message=text, link_name=text, files=(text, "b"))
    (told,) = await reading.table()
    assert {told[name] for name in ("title", "message", "link_name")} == {f"'{text}"}
    assert told["downloaded_files"] == f"'{text}\nb"


async def test_a_jsonl_file_has_an_entry_a_line_just_as_it_is(reading: Reading) -> None:
    await reading.add("=1+1")
    await reading.add("two\nlines")
    status, body, got = await reading.get("/export?format=jsonl")
    assert (status, got.headers["Content-Type"]) == (200, "application/jsonl; charset=utf-8")
    assert got.headers["Content-Disposition"].startswith('attachment; filename="magpie-history-20261121-120000.jsonl"')
    assert [json.loads(line) for line in body.decode().splitlines()] == (await reading.get())[1]


async def test_a_file_holds_one_s_own_that_were_asked_for_however_many(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "A_BATCH", 3)
    for number in range(8):
        await reading.add(f"cats {number}")
    await reading.add("dogs")
    await reading.add("cats 9", account=2)
    assert [entry["title"] for entry in await reading.table("q=cats")] == [f"cats {number}" for number in reversed(range(8))]


async def test_a_file_of_nothing_has_its_head_alone(reading: Reading) -> None:
    assert await reading.table() == []
    assert (await reading.get("/export?format=jsonl"))[1] == b""


async def test_a_format_that_does_not_exist_is_422(reading: Reading) -> None:
    assert (await reading.get("/export?format=xml"))[0] == 422


async def test_a_file_can_be_asked_about(reading: Reading) -> None:
    await reading.add()
    async with reading.site.http.head(f"{HISTORY}/export", headers={"X-As": "1"}) as got:
        assert (got.status, got.content_type, await got.read()) == (200, "text/csv", b"")
