"""The service's figures out of real jobs, through the real queue, on SQLite and PostgreSQL; and the alert rules that are made of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from magpie.checks import queue_check
from magpie.equipment import Machine, Programs
from magpie.metrics import Meters, Parts, ServiceReports
from scraper.tools import Tool
from service.allowances import Allowance
from service.descriptions import ListItem
from service.errors import FetchFailed, VideoPrivate
from service.health import Condition, ServiceState, Stage
from service.limits import Quotas
from service.media_url import MediaUrl
from service.metrics import QueueFigures
from service.model import DownloadSession, Job, Origin
from service.opened_sessions import LIFE
from storage.database import SqlDatabase
from storage.metrics import SqlFigures
from storage.migrate import upgrade
from tests.support.fakes import FakeClock
from tests.support.house import House, RealIds, living

ROOT = Path(__file__).resolve().parents[2]
A_SCRAPES_STATEMENTS = 5
HANG = 30


class Watch:
    """A real one that can be put forward: the engine dates its entries itself."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return self.now().timestamp()


@dataclass
class Counted:
    """A house whose figures are looked at."""

    house: House
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        self.rows, self.meters = SqlFigures(self.house.database), Meters()
        self.house.events.subscribe(self.meters.heard)
        self.check = queue_check(self.rows, self.watch)
        parts = Parts(
            state=ServiceState(Stage.READY),
            checks=[self.check],
            rows=self.rows,
            programs=Programs(lambda: [Tool(name="yt-dlp", version="2026.10.26", path=None)]),
            machine=Machine(self.house.root),
            clock=self.watch,
            chat=lambda: None,
            free_bytes=lambda: 5 * 10**9,
            readers=lambda: 3,
            width=lambda: 4,
            processes=lambda: 5,
            version="1.2.3",
            database="a kind",
        )
        self.reports = ServiceReports(self.meters, parts)

    async def submit(self, path: str, **more: Any) -> Job:
        self.house.web.pages.setdefault(f"https://example.com/{path}", bytes(100))
        return await self.house.submit(path, **more)

    async def held_up(self, *paths: str, **more: Any) -> list[Job]:
        """Jobs of which the first ones run until the gate is opened."""
        self.house.web.gate = asyncio.Event()
        jobs = [await self.submit(path, **more) for path in paths]
        await asyncio.wait_for(self.house.web.reached.wait(), HANG)
        return jobs

    async def queue(self) -> tuple[int, int, int]:
        figures = await self.rows.queue()
        return figures.queued, figures.held, figures.running

    async def until_queue(self, queued: int, held: int, running: int) -> QueueFigures:
        for _ in range(1500):
            if await self.queue() == (queued, held, running):
                return await self.rows.queue()
            await asyncio.sleep(0.02)
        raise AssertionError(f"still {await self.queue()}")

    async def lag(self) -> timedelta:
        return (await self.rows.queue()).lag(self.watch.now())

    async def samples(self) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        """What a scrape brings: by name and labels."""
        found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for family in text_string_to_metric_families((await self.reports.exposition()).decode()):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
        return found


@pytest.fixture
async def counted(database_url: str, tmp_path: Path) -> AsyncIterator[Counted]:
    """One place, and accounts' limits are kept."""
    await upgrade(database_url)
    house = House(url=database_url, root=tmp_path, width=1)
    house.quota = Quotas(house.clock)
    async with living(house):
        yield Counted(house)


async def ann(counted: Counted, **allowance: int) -> int:
    async with counted.house.database.write() as transaction:
        account = await transaction.accounts.add("ann", counted.house.clock.now())
        await transaction.accounts.save(replace(account, own_allowance=Allowance(**allowance)))
    return account.id


# --- the queue --------------------------------------------------------------------------------------------------------


async def test_an_empty_queue_has_no_oldest_job(counted: Counted) -> None:
    assert await counted.rows.queue() == QueueFigures()
    assert await counted.rows.oldest_queued() is None


async def test_jobs_are_counted_as_queued_while_all_places_are_taken(counted: Counted) -> None:
    await counted.held_up("a", "b", "c")
    await counted.until_queue(queued=2, held=0, running=1)


async def test_the_lag_is_how_long_the_oldest_queued_job_waits(counted: Counted) -> None:
    await counted.held_up("a", "b")
    await counted.until_queue(queued=1, held=0, running=1)
    counted.watch.ahead = timedelta(minutes=10)
    assert timedelta(minutes=10) <= await counted.lag() < timedelta(minutes=11)


async def test_a_job_that_runs_does_not_wait_however_long_it_takes(counted: Counted) -> None:
    await counted.held_up("a")
    await counted.until_queue(queued=0, held=0, running=1)
    assert await counted.rows.oldest_queued() is None


async def test_a_job_that_waits_for_its_accounts_limit_is_held_and_no_lag(counted: Counted) -> None:
    await counted.house.stop()
    counted.house.width = 2
    await counted.house.start()
    wider = Counted(counted.house)
    account = await ann(wider, at_once=1)
    await wider.held_up("a", "b", account_id=account)
    figures = await wider.until_queue(queued=0, held=1, running=1)
    assert figures.oldest is None


async def test_who_gets_a_place_after_a_long_wait_for_its_account_is_new_in_the_queue(counted: Counted) -> None:
    """Its row is old; since when it waits in the queue, the engine knows."""
    await counted.held_up("a", "b")
    await counted.until_queue(queued=1, held=0, running=1)
    async with counted.house.database.writer.begin() as connection:
        await connection.execute(sa.text("update jobs set created_at = '2020-01-01 00:00:00+00:00'"))
    assert await counted.lag() < timedelta(minutes=5)


async def test_what_goes_on_after_a_restart_has_had_its_place_and_is_no_lag(counted: Counted) -> None:
    """The engine enters it into its queue again, under the date of the first time."""
    await counted.held_up("a")
    await counted.until_queue(queued=0, held=0, running=1)
    await counted.house.stop()
    database = SqlDatabase(counted.house.url)
    try:
        async with database.writer.begin() as connection:
            table = "workflow_status" if database.is_sqlite else "dbos.workflow_status"
            entered = await connection.execute(sa.text(f"update {table} set status = 'ENQUEUED' where name = 'job'"))
        assert entered.rowcount == 1
        assert await SqlFigures(database).oldest_queued() is None
    finally:
        await database.close()
        await counted.house.start()


async def test_a_list_is_not_counted_but_its_items_are(counted: Counted) -> None:
    counted.house.web.gate = asyncio.Event()
    items = [f"https://example.com/{name}" for name in "abc"]
    counted.house.web.pages.update(dict.fromkeys(items, bytes(100)))
    listed = [ListItem(url=MediaUrl.parse(item), title=item) for item in items]
    await counted.house.downloads.submit_list(counted.house.order("list"), "A list", listed)
    await counted.until_queue(queued=2, held=0, running=1)


@pytest.mark.parametrize(
    ("lag", "condition"),
    [
        (timedelta(seconds=60), Condition.HEALTHY),
        (timedelta(seconds=180), Condition.DEGRADED),
        (timedelta(seconds=960), Condition.UNHEALTHY),
    ],
    ids=str,
)
async def test_a_queue_that_stands_still_is_degraded_and_then_unhealthy(counted: Counted, lag: timedelta, condition: Condition) -> None:
    await counted.held_up("a", "b")
    await counted.until_queue(queued=1, held=0, running=1)
    counted.watch.ahead = lag
    assert (await counted.check.look()).condition is condition


# --- what is there ----------------------------------------------------------------------------------------------------


async def test_totals_count_jobs_that_ended_and_those_under_way(counted: Counted) -> None:
    await counted.house.completed(await counted.submit("a"))
    await counted.held_up("b")
    totals = await counted.rows.totals(counted.house.clock.now())
    assert (totals.active_jobs, totals.total_jobs) == (1, 2)


async def test_totals_count_stored_bytes_once_however_many_jobs_show_them(counted: Counted) -> None:
    for _ in range(2):
        await counted.house.completed(await counted.submit("a"))
    totals = await counted.rows.totals(counted.house.clock.now())
    assert (totals.total_jobs, totals.stored_files, totals.stored_bytes) == (2, 1, 100)


async def test_an_anonymous_session_is_active_until_it_expires(counted: Counted) -> None:
    now, ids = counted.house.clock.now(), RealIds()
    session = DownloadSession(
        id=ids.new(), folder=ids.new(), owner_id=None, created_by=Origin.API, address="192.0.2.1", created_at=now, last_activity=now
    )
    async with counted.house.database.write() as transaction:
        await transaction.download_sessions.add(session)
    for after, active in ((timedelta(0), 1), (LIFE, 0)):
        totals = await counted.rows.totals(now + after)
        assert (totals.active_sessions, totals.total_sessions) == (active, 1)


# --- a scrape ---------------------------------------------------------------------------------------------------------


async def test_an_ended_job_is_counted_once_by_kind_status_and_cause(counted: Counted) -> None:
    await counted.house.completed(await counted.submit("a"))
    counted.house.web.failures["https://example.com/b"] = [VideoPrivate()]
    await counted.house.ended(await counted.submit("b"))
    assert (await counted.samples())["magpie_jobs_ended_total"] == {
        (("cause", ""), ("kind", "audio"), ("status", "completed")): 1,
        (("cause", "private"), ("kind", "audio"), ("status", "failed")): 1,
    }


async def test_a_job_that_is_tried_again_inside_counts_when_it_ends(counted: Counted) -> None:
    counted.house.web.breaks.append(FetchFailed())
    await counted.house.ended(await counted.submit("a"))
    assert sum((await counted.samples())["magpie_jobs_ended_total"].values()) == 1


async def test_a_cancelled_job_is_counted_once(counted: Counted) -> None:
    (job,) = await counted.held_up("a")
    await counted.house.downloads.cancel(job.id)
    assert (await counted.samples())["magpie_jobs_ended_total"] == {(("cause", ""), ("kind", "audio"), ("status", "cancelled")): 1}


async def test_what_ended_jobs_stored_and_how_long_they_ran_is_counted(counted: Counted) -> None:
    await counted.house.completed(await counted.submit("a"))
    found = await counted.samples()
    assert found["magpie_jobs_stored_bytes_total"] == {(("kind", "audio"),): 100}
    assert found["magpie_job_duration_seconds_count"] == {(("kind", "audio"), ("status", "completed")): 1}


async def test_a_job_that_never_ran_has_no_duration(counted: Counted) -> None:
    _, waiting = await counted.held_up("a", "b")
    await counted.house.downloads.cancel(waiting.id)
    assert "magpie_job_duration_seconds_count" not in await counted.samples()


async def test_a_scrape_tells_of_the_queue_as_it_is(counted: Counted) -> None:
    await counted.held_up("a", "b")
    await counted.until_queue(queued=1, held=0, running=1)
    counted.watch.ahead = timedelta(minutes=20)
    found = await counted.samples()
    names = ("magpie_jobs_queued", "magpie_jobs_held", "magpie_jobs_running", "magpie_event_readers", "magpie_disk_free_bytes")
    assert [found[name][()] for name in names] == [1, 0, 1, 3, 5 * 10**9]
    assert 1200 <= found["magpie_queue_oldest_seconds"][()] < 1260
    assert found["magpie_health"] == {(("check", "queue"),): 2}


async def test_a_scrape_asks_little_of_the_database_however_much_there_is(counted: Counted) -> None:
    for number in range(3):
        await counted.house.completed(await counted.submit(f"done{number}"))
    await counted.held_up("a", "b", "c", "d")
    said: list[str] = []
    event.listen(
        counted.house.database.reader.sync_engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: said.append(statement)
    )
    event.listen(counted.house.database.writer.sync_engine, "before_cursor_execute", _refuse)
    try:
        await counted.reports.exposition()
    finally:
        event.remove(counted.house.database.writer.sync_engine, "before_cursor_execute", _refuse)
    assert 0 < len(said) <= A_SCRAPES_STATEMENTS


async def test_the_search_for_the_oldest_job_never_goes_through_what_has_ended(counted: Counted) -> None:
    if not counted.house.database.is_sqlite:
        pytest.skip("with so few rows PostgreSQL always goes through all of them")
    said: list[tuple[str, Any]] = []
    reader = counted.house.database.reader

    def hear(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        said.append((statement, values))

    event.listen(reader.sync_engine, "before_cursor_execute", hear)
    await counted.rows.oldest_queued()
    statement, values = said[-1]
    async with reader.connect() as connection:
        plan = [str(row._mapping["detail"]) for row in await connection.exec_driver_sql(f"explain query plan {statement}", values)]
    assert [step for step in plan if step.startswith("SCAN")] == []


def _refuse(*_: Any) -> None:
    raise AssertionError("a scrape wrote to the database")


async def test_status_tells_of_the_queue_and_what_is_wrong_with_it(counted: Counted) -> None:
    await counted.held_up("a", "b")
    await counted.until_queue(queued=1, held=0, running=1)
    counted.watch.ahead = timedelta(minutes=20)
    status = await counted.reports.status()
    assert "20 minutes" in str(status.findings["queue"].cause)
    assert status.queue is not None
    assert (status.queue.queued, status.queue.running) == (1, 1)
    assert (status.database, status.width, status.processes, status.telegram) == ("a kind", 4, 5, None)


# --- while the database is gone ---------------------------------------------------------------------------------------


class Gone:
    """A database that has gone away."""

    async def queue(self) -> QueueFigures:
        raise OSError("the database has gone away")

    async def oldest_queued(self) -> datetime | None:
        raise OSError("the database has gone away")

    async def totals(self, now: datetime) -> Any:
        raise OSError("the database has gone away")


def reports_without_database(meters: Meters, clock: FakeClock, root: Path) -> ServiceReports:
    rows = Gone()
    parts = Parts(
        state=ServiceState(Stage.READY),
        checks=[queue_check(rows, clock)],
        rows=rows,
        programs=Programs(list),
        machine=Machine(root),
        clock=clock,
        chat=lambda: None,
        free_bytes=lambda: 1,
        readers=lambda: 0,
        width=lambda: 4,
        processes=lambda: 5,
        version="1",
        database="sqlite",
    )
    return ServiceReports(meters, parts)


async def test_a_scrape_tells_what_it_can_while_the_database_is_gone(clock: FakeClock, tmp_path: Path) -> None:
    meters = Meters()
    meters.answered(method="GET", route="/x", status=500, seconds=0.1)
    told = (await reports_without_database(meters, clock, tmp_path).exposition()).decode()
    assert 'magpie_http_requests_total{method="GET",route="/x",status="500"} 1.0' in told
    assert 'magpie_health{check="queue"} 2.0' in told
    assert "magpie_jobs_queued " not in [line[:19] for line in told.splitlines() if not line.startswith("#")]


async def test_status_tells_what_it_can_while_the_database_is_gone(clock: FakeClock, tmp_path: Path) -> None:
    status = await reports_without_database(Meters(), clock, tmp_path).status()
    assert (status.queue, status.findings["queue"].condition) == (None, Condition.UNHEALTHY)


# --- the alert rules --------------------------------------------------------------------------------------------------

RULES = ROOT / "docs" / "ops" / "alerts.yml"
WORDS = frozenset({"and", "or", "unless", "by", "on", "bool", "sum", "min", "max", "increase", "rate", "time", "predict_linear"})
"""Of PromQL, as far as the rules use it."""
PROMETHEUS_OWN = frozenset({"up"})


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def names_in(expression: str) -> set[str]:
    """The metrics in an expression: what is neither a label, nor a duration, nor a word of the language."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)|\"[^\"]*\"", " ", expression)
    return set(re.findall(r"\b[a-z_][\w:]*", bare)) - WORDS


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    assert len(rules()) >= 6
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert {"summary", "description"} <= rule["annotations"].keys(), rule["alert"]


def test_no_two_alerts_have_the_same_name() -> None:
    names = [rule["alert"] for rule in rules()]
    assert sorted(set(names)) == sorted(names)


async def test_every_metric_of_an_alert_is_in_a_scrape(counted: Counted) -> None:
    told = (await counted.reports.exposition()).decode()
    declared = {
        f"{name}_total" if kind == "counter" else name for name, kind in re.findall(r"^# TYPE (\w+?)(?:_total)? (\w+)$", told, re.MULTILINE)
    }
    wanted = {name for rule in rules() for name in names_in(rule["expr"])}
    assert {name for name in wanted if name.startswith("magpie_")}
    assert wanted - declared - PROMETHEUS_OWN == set()


@pytest.mark.parametrize("expression", ["sum by (cause) (increase(magpie_made_up_total{status='x'}[5m])) > 3", "magpie_made_up_total"])
def test_a_metric_that_does_not_exist_would_be_found(expression: str) -> None:
    assert names_in(expression) == {"magpie_made_up_total"}
