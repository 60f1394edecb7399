from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable

import aiohttp
import pytest

from service.health import ServiceState, Stage
from tests.unit.webapi.toy import Site, served, toy_api
from webapi import server
from webapi.auth import Authenticator
from webapi.server import SECURITY_HEADERS, HttpServer, bind, build_app

# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "status", "code", "detail", "retry"),
    [
        ("conflict", 409, "conflict", "There is a nest already", None),
        ("limit", 429, "limit_reached", "A limit is reached.", "90"),
        ("busy", 503, "unavailable", "That is not available just now; a later try may succeed.", "2"),
        ("other", 404, "no_such_bird", "There is no such bird", None),
    ],
)
async def test_a_family_of_errors_has_its_status(  # noqa: PLR0917 - a table
    site: Site, how: str, status: int, code: str, detail: str, retry: str | None
) -> None:
    async with site.http.get(f"/fail/{how}") as got:
        body = await got.json(content_type="application/problem+json")
        assert (got.status, body["status"], body["code"], body["detail"]) == (status, status, code, detail)
        assert got.headers.get("Retry-After") == retry


async def test_a_wrong_selection_is_a_validation_error_of_its_field(site: Site) -> None:
    async with site.http.get("/fail/selection") as got:
        body = await got.json()
        expected = [{"loc": ["body", "format"], "msg": "format must be one of: mp3", "type": "invalid_selection"}]
        assert (got.status, body["detail"]) == (422, expected)


async def test_what_nobody_foresaw_is_logged_and_tells_the_caller_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.http.get("/fail/crash") as got:
        text = await got.text()
        assert (got.status, got.content_type) == (500, "application/problem+json")
        assert "secret" not in text
        assert "Broken" not in text
        request_id = got.headers["X-Request-ID"]
    logged = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert logged.exc_info is not None
    assert (vars(logged)["request_id"], vars(logged)["route"]) == (request_id, "GET /fail/{how}")


async def test_a_redirection_is_no_error(site: Site) -> None:
    async with site.http.get("/fail/moved", allow_redirects=False) as got:
        assert (got.status, got.headers["Location"]) == (303, "/hello")


async def test_an_answer_that_breaks_off_is_cut_and_never_followed_by_another(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.http.get("/stream") as got:
        assert await got.text() == "half of it all"
    with pytest.raises(aiohttp.ClientPayloadError):
        async with site.http.get("/stream?break=1") as got:
            await got.read()
    assert any(record.levelno == logging.ERROR for record in caplog.records)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /" + b"a" * 10_000 + b"?s=secret HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"secret\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_a_problem_and_is_not_repeated(site: Site, raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    status, headers, body = await site.send(raw)
    assert (status, headers["content-type"], headers["x-content-type-options"]) == (400, "application/problem+json", "nosniff")
    assert b"secret" not in body
    assert "secret" not in caplog.text
    assert all(record.levelno < logging.WARNING for record in caplog.records)


async def test_an_unknown_expectation_is_ignored_and_the_known_one_kept(site: Site) -> None:
    for expectation, first in ((b"100-continue", 100), (b"something", 201)):
        body = b'{"name": "Piep"}'
        head = b"POST /birds HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: %s\r\n" % expectation
        assert (await site.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body))[0] == first


# --- headers and logs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/hello", "/nowhere", "/fail/crash", "/birds/x", "/stream", "/docs"])
async def test_every_answer_has_the_security_headers_and_a_number(site: Site, path: str) -> None:
    async with site.http.get(path) as got:
        for name, value in SECURITY_HEADERS.items():
            assert got.headers[name] == value
        assert len(got.headers["X-Request-ID"]) == 16
        assert got.headers["Server"] == "magpie"


async def test_requests_are_logged_without_their_query_on_one_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="magpie.http")
    async with site.http.get("/hello?s=signature") as got:
        request_id = got.headers["X-Request-ID"]
    await site.send(b"GET /fail/a%0Ab%FF?s=signature HTTP/1.1\r\nHost: localhost\r\n\r\n")
    lines = [record for record in caplog.records if record.name == "magpie.http"]
    assert [record.getMessage() for record in lines] == ["GET /hello 200", "GET /fail/a%0Ab%FF 404"]
    assert (vars(lines[0])["request_id"], vars(lines[0])["status"]) == (request_id, 200)


# --- life -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [Stage.STARTING, Stage.STOPPING])
async def test_while_the_service_is_not_ready_every_endpoint_says_so_in_its_own_shape(stage: Stage) -> None:
    async with served(toy_api(), state=ServiceState(stage)) as site:
        async with site.http.get("/hello") as got:
            assert (got.status, got.headers["Retry-After"]) == (503, "2")
            assert (await got.json(content_type=None))["code"] == stage
        async with site.http.post("/own", data=b"1") as got:
            assert (got.status, (await got.json())["success"]) == (503, False)
        site.state.move_to(Stage.READY)
        async with site.http.get("/hello") as got:
            assert got.status == 200


async def test_the_server_listens_on_both_loopbacks_with_one_port_and_nowhere_else(site: Site) -> None:
    hosts = {host for host, _ in site.server.addresses}
    assert hosts in ({"127.0.0.1", "::1"}, {"127.0.0.1"})
    assert {port for _, port in site.server.addresses} == {site.server.port}
    for host in hosts:
        assert (await site.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", host=host))[0] == 200
    with pytest.raises(ConnectionRefusedError):
        await site.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", host="127.0.0.2")


async def test_a_taken_port_is_an_error_and_leaves_nothing_behind(site: Site) -> None:
    second = HttpServer(build_app(toy_api(), authenticator=Authenticator(trust=None), state=ServiceState()), port=site.server.port)
    with pytest.raises(OSError) as failed:  # noqa: PT011 - the number is asked below
        await second.start()
    assert failed.value.errno == errno.EADDRINUSE
    await second.close()


def test_a_port_that_is_taken_on_the_second_host_only_is_an_error_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other, pytest.raises(OSError, match="in use"):
        bind(["127.0.0.1", "::1"], other.getsockname()[1])


def _bound_without(monkeypatch: pytest.MonkeyPatch, absent: Callable[[str], bool], hosts: list[str]) -> list[str]:
    real = server._bind_one

    def bind_one(sockets: list[socket.socket], host: str, port: int) -> None:
        if not absent(host):
            real(sockets, host, port)

    monkeypatch.setattr(server, "_bind_one", bind_one)
    sockets = bind(hosts, 0)
    try:
        return [one.getsockname()[0] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def test_a_port_that_was_free_on_the_first_host_only_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def taken_once(host: str) -> bool:
        if host == "127.0.0.2":
            tried.append(1)
            if len(tried) == 1:
                raise OSError(errno.EADDRINUSE, "in use")
        return False

    assert _bound_without(monkeypatch, taken_once, ["127.0.0.1", "127.0.0.2"]) == ["127.0.0.1", "127.0.0.2"]
    assert len(tried) == 2


def test_a_machine_without_ipv6_is_served_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _bound_without(monkeypatch, lambda host: ":" in host, ["127.0.0.1", "::1"]) == ["127.0.0.1"]


def test_an_address_that_the_machine_does_not_have_is_left_out_unless_it_is_the_only_one() -> None:
    for one in (sockets := bind(["127.0.0.1", "192.0.2.77"], 0)):
        one.close()
    assert len(sockets) == 1
    with pytest.raises(OSError, match="none of these addresses"):
        bind(["192.0.2.77"], 0)


async def test_stopping_refuses_new_connections_and_may_be_asked_twice(site: Site) -> None:
    await site.server.stop_listening()
    await site.server.stop_listening()
    with pytest.raises(ConnectionRefusedError):
        await site.send(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await site.server.close()
    await site.server.close()
