"""What an API key may do that is good for less than everything: never more than its scope, and never less than nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import web

from service.audit import Actor
from service.credentials import Scope
from service.health import Check, Condition, Finding, ServiceState, Stage
from service.model import Account
from storage.database import SqlDatabase
from storage.migrate import upgrade
from tests.support.fakes import FakeClock
from tests.support.people import PASSWORD, Town
from tests.unit.webapi.toy import Site, served, toy_api
from webapi.accounts import UsersEndpoints
from webapi.auth import Authenticator, Caller, CallerKind
from webapi.contract import ACCOUNTS, ALLOWED, Api
from webapi.credentials import RequestCredentials
from webapi.docs_pages import DocsPages
from webapi.health import HealthEndpoints
from webapi.logins import LoginEndpoints
from webapi.pages import Pages

NARROW = [Scope.READ, Scope.METRICS]


@dataclass(frozen=True)
class Village:
    """A service without downloads, in which `ada`, a superuser, has keys."""

    site: Site
    town: Town
    ada: Account

    async def asked(self, scope: Scope, method: str, path: str, **body: str) -> tuple[int, str]:
        """Status and text, with one of her keys of this scope."""
        _, secret = await self.town.keys.create(Actor(account_id=self.ada.id), self.ada, "script", scope)
        async with self.site.http.request(method, path, headers={"X-API-Key": secret}, json=body or None) as got:
            return got.status, await got.text()


async def full_disk() -> Finding:
    return Finding(condition=Condition.DEGRADED, cause="/var/lib/magpie is full")


def village_api(town: Town, credentials: RequestCredentials, state: ServiceState) -> Api:
    api = Api(title="Village", version="1")
    DocsPages(api).register()
    HealthEndpoints(state=state, checks=[Check(name="disk", look=full_disk)]).register(api)
    LoginEndpoints(town.logins, lambda _: "").register(api)
    Pages(logins=town.logins, credentials=credentials, address_of=lambda _: "", is_secure=False).register(api)

    async def forget(account: Account) -> None:
        raise AssertionError(f"nobody wants {account} forgotten")

    UsersEndpoints(town.accounts, forget=forget).register(api)
    return api


@pytest.fixture
async def village(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Village]:
    url = f"sqlite:///{tmp_path}/magpie.db"
    await upgrade(url)
    database = SqlDatabase(url)
    town, state = Town(database, clock), ServiceState(Stage.READY)
    ada = await town.account("ada")
    credentials = RequestCredentials(logins=town.logins, keys=town.keys, mini_app=None, vault=town.vault)
    authenticator = Authenticator(trust=None, credentials=credentials)
    async with served(village_api(town, credentials, state), authenticator=authenticator, state=state) as site:
        yield Village(site, town, ada)
    town.hashes.close()
    await database.close()


# --- what anybody may -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", NARROW)
@pytest.mark.parametrize("path", ["/", "/app/", "/api/health"])
async def test_what_anybody_may_read_every_key_may_read(village: Village, path: str, scope: Scope) -> None:
    assert (await village.asked(scope, "GET", path))[0] == 200


@pytest.mark.parametrize(("path", "told"), [("/app/", "ada"), ("/api/health", "/var/lib/magpie")])
async def test_what_its_owner_would_be_told_a_key_for_figures_is_not(village: Village, path: str, told: str) -> None:
    (_, to_owner), (_, to_key) = [await village.asked(scope, "GET", path) for scope in (Scope.READ, Scope.METRICS)]
    assert (told in to_owner, told in to_key) == (True, False)


@pytest.mark.parametrize("scope", NARROW)
async def test_its_owners_rights_are_not_used_where_anybody_may_ask(village: Village, scope: Scope) -> None:
    new = {"username": "eve", "email": "eve@example.com", "password": PASSWORD}
    status, _ = await village.asked(scope, "POST", "/api/v1/users/", **new)
    assert (status, (await village.town.accounts.page())[1]) == (403, 1)


# --- what only reads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "status"), [(Scope.ALL, 200), (Scope.READ, 200), (Scope.METRICS, 403)])
async def test_a_key_that_may_read_may_ask_whose_it_is(village: Village, scope: Scope, status: int) -> None:
    for path in ("/api/v1/login/test-token", "/api/v1/login/test-token/"):
        assert (await village.asked(scope, "POST", path))[0] == status


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/v1/users/me"), ("DELETE", "/api/v1/users/me"), ("PUT", "/api/v1/users/1")])
@pytest.mark.parametrize("scope", NARROW)
async def test_a_narrow_key_changes_nothing(village: Village, method: str, path: str, scope: Scope) -> None:
    status, _ = await village.asked(scope, method, path, username="renamed")
    assert (status, (await village.town.accounts.get(village.ada.id)).username) == (403, "ada")


@pytest.mark.parametrize(("scope", "status"), [(Scope.READ, 200), (Scope.METRICS, 403)])
async def test_a_key_for_figures_reads_nothing_that_is_somebodys(village: Village, scope: Scope, status: int) -> None:
    assert (await village.asked(scope, "GET", "/api/v1/users/me"))[0] == status


# --- as whom ----------------------------------------------------------------------------------------------------------


class WithKey:
    """Says that everybody shows a superuser's key of this scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def identify(self, request: web.Request, *, is_public: bool = False) -> Caller:
        del request, is_public
        return Caller(kind=CallerKind.SUPERUSER, account_id=1, address="192.0.2.1", scope=self._scope, key_id=1)

    def address_of(self, request: web.Request) -> str:
        del request
        return "192.0.2.1"


@asynccontextmanager
async def asking_who(scope: Scope) -> AsyncIterator[Site]:
    api = Api(title="Who", version="1")

    @api.route("POST", "/who", access=replace(ACCOUNTS, anonymous=ALLOWED))
    async def tell(caller: Caller) -> str:
        return f"{caller.kind} {caller.account_id} {caller.address}"

    async with served(api, authenticator=WithKey(scope)) as site:
        yield site


@pytest.mark.parametrize(
    ("scope", "who"), [(Scope.ALL, "superuser 1 192.0.2.1"), *((scope, "anonymous None 192.0.2.1") for scope in NARROW)]
)
async def test_what_is_beyond_its_scope_a_key_does_as_nobody_known(scope: Scope, who: str) -> None:
    async with asking_who(scope) as site, site.http.post("/who") as got:
        assert await got.json() == who


@pytest.mark.parametrize(("path", "status"), [("/signed", 403), ("/signed?e=1&s=x", 200)])
async def test_a_signature_counts_beside_a_key_for_figures(path: str, status: int) -> None:
    async with served(toy_api(), authenticator=WithKey(Scope.METRICS)) as site, site.http.get(path) as got:
        assert got.status == status
