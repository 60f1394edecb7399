"""Who may do what: the declared matrix, every condition of local trust over real sockets, and a real proxy in front."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from tests.e2e.conftest import StartService
from tests.support.running import AUTO_DOWNLOAD, HANG, ROOT, MediaSiteProcess, Running, free_port

METHODS = ("get", "post", "put", "patch", "delete")
PASSWORD = "a long enough pass phrase"
ROLES = ("anonymous", "local", "owner", "other", "superuser")
FROM_OUTSIDE = {"X-Forwarded-For": "203.0.113.9"}
"""What a proxy adds: no local trust."""
VIDEO = "https://www.youtube.com/watch?v=ACCESSxxx01"
MAY_BE_MISSING = frozenset(
    {
        "/api/v1/users/me/telegram/{telegram_id}",
        "/chat/files/{file_id}",
        "/feeds/{token}",
        "/feeds/{token}/{job}/{file}",
        "/telegram/webhook",
    }
)
"""Where there is nothing of the owner's to be had without Telegram, a chat or a feed's token: 404 is what everybody gets who may ask."""


@dataclass
class World:
    """A service with a superuser and two users; the first of them, the owner, has one of each thing."""

    service: Running
    headers: dict[str, dict[str, str]] = field(default_factory=lambda: {"anonymous": FROM_OUTSIDE, "local": {}})
    ids: dict[str, str] = field(default_factory=dict)

    def call(self, role: str, method: str, path: str, **more: Any) -> requests.Response:
        headers = {**self.headers[role], **more.pop("headers", {})}
        # Not the body: a stream of events has no end.
        return requests.request(method, self.service.url + path, headers=headers, timeout=HANG, allow_redirects=False, stream=True, **more)

    def add(self, role: str, *, is_superuser: bool = False) -> None:
        about = {"username": role, "email": f"{role}@example.com", "password": PASSWORD, "is_superuser": is_superuser}
        made = self.call("local", "post", "/api/v1/users/", json=about)
        assert made.ok, made.text
        self.ids[role] = str(made.json()["id"])
        login = self.call("anonymous", "post", "/api/v1/login/access-token", data={"username": role, "password": PASSWORD})
        assert login.ok, login.text
        self.headers[role] = {**FROM_OUTSIDE, "Authorization": f"Bearer {login.json()['access_token']}"}

    def furnish(self) -> None:
        """What belongs to the owner; and what each account has that is its own alone."""
        done = self.call("owner", "post", AUTO_DOWNLOAD, json={"url": VIDEO}).json()
        folder, job, name = done["file_path"].removeprefix("/media/downloads/").split("/", 2)
        self.ids |= {"job_id": done["job_id"], "folder": folder, "job": job, "file": name}
        self.ids["session_uuid"] = self.call("owner", "post", "/api/sessions/").json()["session_uuid"]
        key = self.call("owner", "post", "/api/v1/users/me/api-keys/", json={"name": "a key"}).json()
        self.ids["key_id"] = str(key["id"])
        self.call("owner", "put", "/api/v1/users/me/cookies/example.com", json={"cookies": '{"a": "b"}'})
        link = self.call(
            "owner", "post", "/api/v1/links/", json={"url": f"https://www.youtube.com/@access{done['job_id']}", "is_enabled": False}
        )
        self.ids["link_id"] = str(link.json()["id"])
        self.ids["history_id"] = str(self.call("owner", "get", "/api/v1/history/").json()[0]["id"])
        for role in ("owner", "other"):
            self.call(role, "put", "/api/v1/users/me/webhook", json={})


@pytest.fixture(scope="module")
def world(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Running.beside(site, tmp_path_factory.mktemp("world"), auto_download_hosts="*") as running:
        made = World(running)
        made.add("superuser", is_superuser=True)
        made.add("owner")
        made.add("other")
        yield made


def operations(service: Running) -> list[tuple[str, str, dict[str, Any]]]:
    paths = requests.get(f"{service.url}/openapi.json", timeout=HANG).json()["paths"]
    found = [(method, path, item[method]) for path, item in paths.items() for method in METHODS if method in item]
    # What takes the owner's things away comes last, and at the very end what takes the account away.
    return sorted(found, key=lambda one: (one[:2] == ("delete", OWN_ACCOUNT), one[0] == "delete", one[1], one[0]))


OWN_ACCOUNT = "/api/v1/users/me"


def body_of(method: str, path: str, world: World) -> dict[str, Any]:
    """What makes sense there; the thing that it names is the owner's."""
    bodies: dict[tuple[str, str], Any] = {
        ("post", "/audio_dl/api/auto-download"): {"url": VIDEO, "wait": False},
        ("post", "/api/jobs"): {"url": VIDEO},
        ("put", "/api/v1/users/me/cookies/{site}"): {"cookies": '{"a": "b"}'},
        ("post", "/api/v1/users/me/api-keys"): {"name": "another"},
        ("post", "/api/v1/links"): {"url": f"https://www.youtube.com/@new{uuid4()}", "is_enabled": False},
        ("put", "/api/v1/links/{link_id}"): {"name": "another name"},
        ("post", "/api/v1/links/{link_id}/held"): {"take": 0},
        ("post", "/api/v1/links/{link_id}/archive"): {"archive": "youtube dQw4w9WgXcQ"},
        ("put", "/api/v1/users/me/preferences"): {"language": "de"},
        ("post", "/api/link-session"): {"session_id": world.ids.get("session_id")},
    }
    if method not in {"post", "put"}:
        return {}
    return {"json": bodies.get((method, path.rstrip("/")), {})}


def path_of(path: str, world: World) -> str:
    known = {
        **world.ids,
        "user_id": world.ids["owner"],
        "telegram_id": "1",
        "site": "example.com",
        "name": "swagger.js",
        "file_id": "x",
        "token": "x",
    }
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"the test does not know what to write there: {path}"
    return path


def an_unowned_session(world: World) -> None:
    """One that names the owner, as `username` in a request from afar would."""
    answer = world.call("local", "post", AUTO_DOWNLOAD, json={"url": f"{VIDEO}&n={uuid4()}", "username": "owner", "wait": False})
    world.ids["session_id"] = answer.json()["session_id"]
    with closing(sqlite3.connect(world.service.data / "magpie.db", timeout=HANG)) as database, database:
        database.execute(
            "update download_sessions set owner_id = null, requested_username = 'owner' where id = ?",
            (UUID(world.ids["session_id"]).hex,),
        )


def test_every_operation_declares_a_verdict_for_every_kind_of_caller(world: World) -> None:
    declared = {
        f"{method} {path}": set(about.get("x-access", ())) - {"signed", "session"} for method, path, about in operations(world.service)
    }
    assert len(declared) > 30
    assert declared == {operation: set(ROLES) for operation in declared}


@pytest.mark.parametrize("role", ["anonymous", "other", "local", "superuser", "owner"])
def test_every_operation_does_what_it_declares(world: World, role: str) -> None:
    wrong = []
    world.furnish()
    for method, path, about in operations(world.service):
        if path.rstrip("/") == "/api/link-session":
            an_unowned_session(world)
        verdict = about["x-access"][role]
        with world.call(role, method, path_of(path, world), **body_of(method, path, world)) as answer:
            got = answer.status_code
        if verdict != "allowed":
            fits = got == verdict
        else:
            fits = got not in {401, 403} and got < 500 and (got != 404 or path in MAY_BE_MISSING or role in {"local", "superuser"})
        if not fits:
            wrong.append(f"{method} {path} as {role}: {got} instead of {verdict}")
    if role in {"other", "owner"}:
        world.add(role)  # who has just been deleted
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_a_wrong_signature_opens_nothing_to_anybody(world: World, role: str) -> None:
    world.furnish()
    signed = [(method, path) for method, path, about in operations(world.service) if "signed" in about["x-access"]]
    assert signed
    query = "?e=99999999999&s=AAAAAAAAAAAAAAAAAAAAAA"
    assert {world.call(role, method, path_of(path, world) + query).status_code for method, path in signed} == {403}


# --- who shows a session ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lobby(site: MediaSiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Where callers whom nobody knows may open sessions, and download."""
    with Running.beside(site, tmp_path_factory.mktemp("lobby"), auto_download_hosts="*", anonymous_downloads="true") as running:
        yield World(running)


def open_a_session(world: World, role: str, *, by: str = "anonymous") -> str:
    """Whoever calls in that role from now on shows it; returns its id."""
    session = str(world.call(by, "post", "/api/sessions/").json()["session_uuid"])
    world.headers[role] = {**FROM_OUTSIDE, "X-Session-ID": session}
    return session


@pytest.fixture
def own(lobby: World) -> dict[str, str]:
    """What belongs to a session that is shown by whoever calls as `own`; it has a job that has ended."""
    session = open_a_session(lobby, "own")
    job = lobby.call("own", "post", "/api/jobs/", json={"url": VIDEO, "media_type": "audio"}).json()["job_uuid"]
    _, folder, _, _, name = lobby.service.ended(job)["output_path"].split("/")
    return {"job_id": job, "session_uuid": session, "folder": folder, "job": job, "file": name}


def opened_by_session(service: Running) -> list[tuple[str, str]]:
    found = [(method, path) for method, path, about in operations(service) if "session" in about["x-access"]]
    assert len(found) > 10
    return found


def status_of(world: World, role: str, method: str, path: str) -> int:
    with world.call(role, method, path, **body_of(method, path, world)) as answer:
        return answer.status_code


def test_a_session_opens_every_operation_that_says_so_to_who_shows_it(lobby: World, own: dict[str, str]) -> None:
    got = {f"{method} {path}": status_of(lobby, "own", method, path.format(**own)) for method, path in opened_by_session(lobby.service)}
    assert {operation: status for operation, status in got.items() if status in {401, 403, 404} or status >= 500} == {}


def test_to_who_shows_another_session_what_is_in_this_one_does_not_exist(lobby: World, own: dict[str, str]) -> None:
    open_a_session(lobby, "another")
    named = [(method, path) for method, path in opened_by_session(lobby.service) if "{" in path]
    got = {f"{method} {path}": status_of(lobby, "another", method, path.format(**own)) for method, path in named}
    assert got == dict.fromkeys(got, 404)
    assert status_of(lobby, "own", "get", f"/api/jobs/{own['job_id']}") == 200, "nothing was done to it"


def test_to_who_shows_another_session_no_list_tells_of_this_one(lobby: World, own: dict[str, str]) -> None:
    other = open_a_session(lobby, "another")
    jobs, sessions, overview = [
        lobby.call("another", "get", path).json() for path in ("/api/jobs/", "/api/sessions/", "/api/sessions/stats/overview")
    ]
    assert (jobs, [session["session_uuid"] for session in sessions]) == ([], [other])
    assert (overview["total_sessions"], overview["total_jobs"]) == (1, 0)
    assert lobby.call("another", "get", "/api/jobs/", params={"session_uuid": own["session_uuid"]}).json() == []


@pytest.mark.parametrize("shown", ["malformed", "unknown", "folder", "claimed"])
def test_a_header_that_opens_no_session_gets_404_everywhere(lobby: World, own: dict[str, str], shown: str) -> None:
    headers = {"malformed": "x", "unknown": str(uuid4()), "folder": own["folder"], "claimed": own["session_uuid"]}
    if shown == "claimed":
        assert lobby.call("local", "post", "/api/link-session/", json={"session_id": own["session_uuid"]}).ok
    lobby.headers["nobody"] = {**FROM_OUTSIDE, "X-Session-ID": headers[shown]}
    got = {f"{method} {path}": status_of(lobby, "nobody", method, path.format(**own)) for method, path in opened_by_session(lobby.service)}
    assert got == dict.fromkeys(got, 404)
    assert lobby.call("local", "get", f"/api/jobs/{own['job_id']}").ok, "nothing was done to it"


def test_a_session_is_no_credential_for_anything_else(world: World) -> None:
    world.furnish()
    open_a_session(world, "session", by="local")
    wrong = []
    for method, path, about in operations(world.service):
        verdict = about["x-access"]["anonymous"]
        if verdict == "allowed" or "session" in about["x-access"]:
            continue
        got = status_of(world, "session", method, path_of(path, world))
        if got != verdict:
            wrong.append(f"{method} {path}: {got} instead of {verdict}")
    assert wrong == []


# --- credentials ------------------------------------------------------------------------------------------------------


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
    answer = service.post_auto_download("https://youtu.be/abcdefghijk", headers=FROM_OUTSIDE)
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
    answer = service.post_auto_download("https://youtu.be/abcdefghijk", headers=FROM_OUTSIDE)
    assert answer.status_code == 200
    refused = service.post_auto_download("https://example.com/x.mp4", headers=FROM_OUTSIDE)
    assert (refused.status_code, refused.json()["error"]) == (400, "Only YouTube URLs are supported")
    job = requests.get(f"{service.url}/api/jobs/{answer.json()['job_id']}", headers=FROM_OUTSIDE, timeout=HANG)
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
