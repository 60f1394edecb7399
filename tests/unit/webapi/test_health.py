from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from service.health import Check, Condition, Finding, ServiceState, Stage, look_at, overall
from tests.unit.webapi.toy import Site, served
from webapi.auth import Authenticator
from webapi.contract import Api
from webapi.health import HealthEndpoints

FULL = Finding(condition=Condition.UNHEALTHY, cause="Only 3 MB are free on /srv/media.")
TIGHT = Finding(condition=Condition.DEGRADED, cause="Only 3 GB are free.")


class Part:
    """A part of the service whose condition is set by hand."""

    def __init__(self, finding: Finding | None = None) -> None:
        self.finding, self.looks = finding or Finding(), 0

    async def look(self) -> Finding:
        self.looks += 1
        return self.finding


def an_api(state: ServiceState, **parts: Part) -> Api:
    api = Api(title="Magpie", version="0")
    HealthEndpoints(state=state, checks=[Check(name=name, look=part.look) for name, part in parts.items()]).register(api)
    return api


@pytest.fixture
def disk() -> Part:
    return Part()


@pytest.fixture
async def site(disk: Part) -> AsyncIterator[Site]:
    state = ServiceState(Stage.READY)
    async with served(an_api(state, database=Part(), disk=disk), state=state) as running:
        yield running


async def ask(site: Site, path: str = "/api/health") -> tuple[int, Any]:
    async with site.http.get(path) as got:
        return got.status, await got.json()


async def test_a_service_whose_parts_are_well_is_healthy(site: Site) -> None:
    checks = [{"name": name, "status": "healthy", "cause": None} for name in ("database", "disk")]
    for path in ("/api/health", "/api/health/", "/health", "/health/"):
        assert await ask(site, path) == (200, {"status": "healthy", "state": "ready", "checks": checks})


@pytest.mark.parametrize(("finding", "status"), [(TIGHT, 200), (FULL, 503)])
async def test_a_service_is_as_its_worst_part_and_local_trust_learns_why(site: Site, disk: Part, finding: Finding, status: int) -> None:
    disk.finding = finding
    got, body = await ask(site)
    assert (got, body["status"]) == (status, finding.condition)
    assert body["checks"][1] == {"name": "disk", "status": finding.condition, "cause": finding.cause}


async def test_an_anonymous_caller_gets_names_and_states_only(disk: Part) -> None:
    disk.finding = FULL
    state = ServiceState(Stage.READY)
    async with served(an_api(state, disk=disk), state=state, authenticator=Authenticator(trust=None)) as site:
        assert (await ask(site))[1]["checks"] == [{"name": "disk", "status": "unhealthy", "cause": None}]


async def test_the_simple_check_looks_at_nothing(site: Site, disk: Part) -> None:
    disk.finding = FULL
    assert await ask(site, "/api/health/simple") == (200, {"status": "ok"})
    assert disk.looks == 0


@pytest.mark.parametrize("stage", [Stage.STARTING, Stage.STOPPING])
async def test_while_starting_and_stopping_health_answers_503_and_looks_at_nothing(site: Site, disk: Part, stage: Stage) -> None:
    site.state.move_to(stage)
    assert await ask(site, "/api/health/simple") == (503, {"status": stage.value})
    assert await ask(site) == (503, {"status": "unhealthy", "state": stage.value, "checks": []})
    assert disk.looks == 0


async def test_a_part_that_does_not_answer_is_unhealthy() -> None:
    async def hang() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    findings = await look_at([Check(name="hung", look=hang), Check(name="well", look=Part().look)], patience=timedelta(milliseconds=20))
    assert findings["hung"] == Finding(condition=Condition.UNHEALTHY, cause="No answer within 0.02 seconds")
    assert findings["well"] == Finding()


async def test_a_check_that_breaks_is_unhealthy_and_hides_neither_the_others_nor_itself() -> None:
    async def broken() -> Finding:
        raise RuntimeError("/home/somebody/secret.db")

    findings = await look_at([Check(name="broken", look=broken), Check(name="well", look=Part().look)])
    assert findings["broken"].condition is Condition.UNHEALTHY
    assert "secret" not in str(findings["broken"].cause)
    assert findings["well"].condition is Condition.HEALTHY


def test_nothing_to_look_at_is_healthy() -> None:
    assert overall({}) is Condition.HEALTHY


async def test_who_waits_for_the_stop_is_woken_by_it() -> None:
    state = ServiceState()
    assert (state.is_ready, state.is_stopping) == (False, False)
    waiting = asyncio.create_task(state.until_let_go())
    state.move_to(Stage.READY)
    await asyncio.sleep(0)
    assert not waiting.done()
    state.move_to(Stage.STOPPING)
    await asyncio.sleep(0)
    assert state.is_stopping
    assert not waiting.done()
    state.let_go()
    async with asyncio.timeout(5):
        await waiting
