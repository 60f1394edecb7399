"""Every endpoint with every kind of caller: the verdict it declares is the verdict it gives."""

from __future__ import annotations

import dataclasses
import json

import pytest
from aiohttp import web

from tests.unit.webapi.toy import Site, served, toy_api
from webapi.auth import Caller, CallerKind
from webapi.contract import ALLOWED, EVERYBODY, TRUSTED, Access, AccessCase

CASES = list(toy_api().matrix())


class As:
    """Says that everybody is of this kind."""

    def __init__(self, kind: CallerKind) -> None:
        self._kind = kind

    async def identify(self, request: web.Request, *, is_public: bool = False) -> Caller:
        del request, is_public
        return Caller(kind=self._kind, account_id=None, address="127.0.0.1")

    def address_of(self, request: web.Request) -> str:
        del request
        return "127.0.0.1"


def test_every_kind_of_caller_has_a_verdict_of_its_own() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(Access)}
    kinds = {"anonymous", "local", "owner", "other", "superuser"}
    assert {*fields} - {"signed", "session", "metrics", "reads", "reveals"} == kinds
    assert all(fields[kind] is dataclasses.MISSING for kind in kinds), "every endpoint must decide about each of them"


def test_the_matrix_holds_every_endpoint_and_every_kind() -> None:
    assert len(CASES) == len(toy_api().endpoints) * len(CallerKind)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_verdict_that_is_declared_is_given(case: AccessCase) -> None:
    async with served(toy_api(), authenticator=As(case.kind)) as site:
        path = case.endpoint.path.replace("{bird_id}", "1").replace("{how}", "x")
        body = json.dumps({"name": "Piep"}) if case.endpoint.body else None
        headers = {"Content-Type": "application/json"} if body else {}
        async with site.http.request(case.endpoint.method, path, data=body, headers=headers) as got:
            assert case.holds(got.status), f"{got.status}: {await got.text()}"


def test_a_wrong_answer_does_not_hold() -> None:
    endpoint = toy_api().endpoints[0]
    refused = AccessCase(endpoint=endpoint, kind=CallerKind.ANONYMOUS, verdict=401)
    allowed = AccessCase(endpoint=endpoint, kind=CallerKind.LOCAL, verdict=ALLOWED)
    assert [refused.holds(status) for status in (200, 401, 403, 404)] == [False, True, False, False]
    assert [allowed.holds(status) for status in (200, 401, 403, 404, 422)] == [True, False, False, True, True]


async def test_who_is_refused_learns_nothing_of_what_is_wrong_with_the_request() -> None:
    text = {"Content-Type": "text/plain"}
    async with served(toy_api(), authenticator=As(CallerKind.ANONYMOUS)) as site, site.http.post("/birds", data=b"{", headers=text) as got:
        assert (got.status, (await got.json(content_type=None))["detail"]) == (401, "Not authenticated")
        assert got.headers["WWW-Authenticate"] == "Bearer"
    async with served(toy_api(), authenticator=As(CallerKind.LOCAL)) as site, site.http.delete("/birds/1") as got:
        assert (got.status, (await got.json(content_type=None))["detail"]) == (403, "The user doesn't have enough privileges")


async def test_only_an_endpoint_for_signed_links_lets_a_signature_through_and_then_checks_it_itself() -> None:
    async with served(toy_api(), authenticator=As(CallerKind.ANONYMOUS)) as site:
        for path, status in (("/signed", 401), ("/signed?e=1&s=x", 200), ("/birds/1?e=1&s=x", 401)):
            async with site.http.get(path) as got:
                assert got.status == status


async def test_a_wrong_credential_is_refused_wherever_it_matters_who_calls(site: Site) -> None:
    for headers in ({"Authorization": "Bearer x"}, {"Authorization": ""}, {"X-API-Key": "mgp_x"}):
        async with site.http.get("/birds/1", headers=headers) as got:
            assert (got.status, got.headers["WWW-Authenticate"]) == (401, "Bearer")
        async with site.http.get("/hello", headers=headers) as got:
            assert got.status == 200


def test_the_common_verdicts() -> None:
    assert [EVERYBODY.verdict(kind) for kind in CallerKind] == [ALLOWED] * 4
    assert [TRUSTED.verdict(kind) for kind in CallerKind] == [401, ALLOWED, 403, 403]
