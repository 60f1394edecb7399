"""Who may do what: the declared matrix, every condition of local trust over real sockets, and a real proxy in front."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.e2e.conftest import StartService
from tests.support.running import AUTO_DOWNLOAD, HANG, ROOT, Running, free_port
from webapi.auth import CallerKind

AS = {CallerKind.ANONYMOUS: {"X-Forwarded-For": "203.0.113.9"}, CallerKind.LOCAL: {}}
METHODS = ("get", "post", "put", "patch", "delete")


def operations(service: Running) -> Iterator[tuple[str, str, dict[str, Any]]]:
    paths = requests.get(f"{service.url}/openapi.json", timeout=HANG).json()["paths"]
    for path, item in paths.items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def status(service: Running, method: str, path: str, caller: CallerKind, query: str = "") -> int:
    for name in ("{job_id}", "{folder}", "{job}"):
        path = path.replace(name, str(uuid4()))
    path = path.replace("{file}", "x.mp3").replace("{name}", "swagger.js").replace("{file_id}", "x")
    assert "{" not in path, "the test does not know what to write there"
    # Not the body: a stream of events has no end.
    with requests.request(
        method, service.url + path + query, headers=AS[caller], timeout=HANG, allow_redirects=False, stream=True
    ) as answer:
        return answer.status_code


def test_there_is_a_way_to_call_as_every_kind_of_caller() -> None:
    assert set(AS) == set(CallerKind)


def test_every_operation_declares_a_verdict_for_every_kind_of_caller(service: Running) -> None:
    found = {f"{method} {path}": set(operation.get("x-access", ())) - {"signed"} for method, path, operation in operations(service)}
    assert len(found) > 10
    assert found == {operation: {kind.value for kind in CallerKind} for operation in found}


@pytest.mark.parametrize("caller", CallerKind)
def test_every_operation_does_what_it_declares(service: Running, caller: CallerKind) -> None:
    wrong = []
    for method, path, operation in operations(service):
        verdict = operation["x-access"][caller.value]
        got = status(service, method, path, caller)
        if got in {401, 403} if verdict == "allowed" else got != verdict:
            wrong.append(f"{method} {path} as {caller}: {got} instead of {verdict}")
        if got >= 500:
            wrong.append(f"{method} {path} as {caller}: {got}")
    assert wrong == []


@pytest.mark.parametrize("caller", CallerKind)
def test_a_wrong_signature_opens_nothing_to_anybody(service: Running, caller: CallerKind) -> None:
    signed = [(method, path) for method, path, operation in operations(service) if "signed" in operation["x-access"]]
    assert signed
    assert {status(service, method, path, caller, "?e=99999999999&s=AAAAAAAAAAAAAAAAAAAAAA") for method, path in signed} == {403}


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer x"}, {"Authorization": "Basic x"}, {"X-API-Key": "mgp_x"}, {"X-API-Key": ""}], ids=str
)
def test_a_wrong_credential_is_refused_and_never_taken_for_local(service: Running, headers: dict[str, str]) -> None:
    assert requests.post(service.url + AUTO_DOWNLOAD, json={}, headers=headers, timeout=HANG).status_code == 401


# --- local trust ------------------------------------------------------------------------------------------------------


def raw_status(service: Running, *headers: str, host: str | None = None, version: str = "1.1", target: str = AUTO_DOWNLOAD) -> int:
    """The status for a request without a URL, written by hand: 400 for who is trusted, 401 for who is not."""
    host = f"localhost:{service.port}" if host is None else host
    head = [
        f"POST {target} HTTP/{version}",
        f"Host: {host}",
        "Content-Type: application/json",
        "Content-Length: 2",
        "Connection: close",
        *headers,
    ]
    with socket.create_connection(("127.0.0.1", service.port), timeout=HANG) as client:
        client.sendall("\r\n".join([*head, "", "{}"]).encode())
        answer = b""
        while piece := client.recv(4096):
            answer += piece
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "headers",
    [
        (), ("Origin: http://localhost:{port}",), ("Sec-Fetch-Site: same-origin",), ("Sec-Fetch-Site: none",), ("Accept-Language: en",),
        ("Referer: http://evil.example/",),
    ],
    ids=str,
)  # fmt: skip
def test_a_direct_caller_is_trusted(service: Running, headers: tuple[str, ...]) -> None:
    assert raw_status(service, *(header.format(port=service.port) for header in headers)) == 400


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "LOCALHOST:{port}", "localhost"])
def test_every_name_of_the_loopback_is_trusted(service: Running, host: str) -> None:
    assert raw_status(service, host=host.format(port=service.port)) == 400


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: localhost", "x-forwarded-port: 1",
        "X-Real-IP: 127.0.0.1", "Via: 1.1 proxy", "Forwarded: for=127.0.0.1", "CF-Connecting-IP: 127.0.0.1", "CF-Ray: x",
        "Origin: http://evil.example", "Origin: null", "Origin: http://localhost:1", "Origin: https://localhost:{port}",
        "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site:",
    ],
)  # fmt: skip
def test_what_speaks_of_a_proxy_or_another_site_is_not_trusted(service: Running, header: str) -> None:
    assert raw_status(service, header.format(port=service.port)) == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "0.0.0.0",
        "", "128.0.0.1",
    ],
)  # fmt: skip
def test_a_foreign_host_is_not_trusted_as_in_dns_rebinding(service: Running, host: str) -> None:
    assert raw_status(service, host=host.format(port=service.port)) == 401


def test_http_1_0_is_not_trusted(service: Running) -> None:
    assert raw_status(service, version="1.0") == 401


def test_a_request_as_one_sends_it_to_a_proxy_is_not_trusted(service: Running) -> None:
    assert raw_status(service, target=service.url + AUTO_DOWNLOAD) == 401


def test_a_refusal_has_the_routes_shape_and_writes_nothing(start: StartService) -> None:
    service = start()
    answer = service.post_auto_download("https://youtu.be/abcdefghijk", headers=AS[CallerKind.ANONYMOUS])
    assert (answer.status_code, answer.json()) == (401, {"success": False, "error": "Not authenticated", "code": "not_authenticated"})
    assert service.rows("select id from jobs") == []


@pytest.mark.parametrize(
    "settings",
    [
        {"public_url": "https://x.example"}, {"webhook_url": "https://x.example/hook"}, {"trust_local": "false"}, {"host": "0.0.0.0"},
        {"host": "::1,0.0.0.0"},
    ],
    ids=str,
)  # fmt: skip
def test_where_the_world_can_reach_it_nobody_is_trusted(start: StartService, settings: dict[str, str]) -> None:
    assert raw_status(start(**settings)) == 401


def test_a_loopback_public_url_changes_nothing(start: StartService) -> None:
    assert raw_status(start(public_url="http://localhost:8000")) == 400


def test_anonymous_downloads_are_open_when_the_operator_says_so(start: StartService) -> None:
    service = start(anonymous_downloads="true", auto_download_hosts="youtube.com,youtu.be")
    answer = service.post_auto_download("https://youtu.be/abcdefghijk", headers=AS[CallerKind.ANONYMOUS])
    assert answer.status_code == 200
    refused = service.post_auto_download("https://example.com/x.mp4", headers=AS[CallerKind.ANONYMOUS])
    assert (refused.status_code, refused.json()["error"]) == (400, "Only YouTube URLs are supported")
    job = requests.get(f"{service.url}/api/jobs/{answer.json()['job_id']}", headers=AS[CallerKind.ANONYMOUS], timeout=HANG)
    assert job.status_code == 401


# --- a proxy in front -------------------------------------------------------------------------------------------------


@contextmanager
def proxy_to(port: int, *options: str) -> Iterator[str]:
    """A forwarding proxy that adds no header."""
    listen = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.proxy", "--listen", str(listen), "--to", str(port), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("proxy at ")
        yield f"http://127.0.0.1:{listen}"
    finally:
        process.terminate()
        process.wait(HANG)
        process.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start the proxy as another user")
@pytest.mark.parametrize("options", [(), ("--http11",)], ids=["HTTP/1.0", "HTTP/1.1"])
def test_through_a_proxy_of_another_user_nobody_is_trusted(service: Running, options: tuple[str, ...]) -> None:
    with proxy_to(service.port, "--uid", "65534", *options) as url:
        assert requests.get(f"{url}/api/health/simple", timeout=HANG).json() == {"status": "ok"}
        answer = requests.post(url + AUTO_DOWNLOAD, json={"url": "https://youtu.be/throughproxy"}, timeout=HANG)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_through_a_default_proxy_of_the_same_user_nobody_is_trusted(service: Running) -> None:
    with proxy_to(service.port) as url:
        assert requests.post(url + AUTO_DOWNLOAD, json={}, timeout=HANG).status_code == 401
