"""Accounts over HTTP, as seeds 4 and 0 document them, against the service as its users have it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import requests
from aiosmtpd.controller import Controller
from oauthlib.oauth2 import LegacyApplicationClient
from requests_oauthlib import OAuth2Session

from tests.e2e.conftest import StartService
from tests.support.running import HANG, MAGPIE, MediaSiteProcess, Running, clean_environment, eventually, free_port

PASSWORD = "securepassword123"
OUTSIDE = {"X-Forwarded-For": "203.0.113.9"}
VIDEO = "https://youtu.be/dQw4w9WgXcQ"


class Client:
    """One who calls as a program elsewhere would."""

    def __init__(self, service: Running) -> None:
        self.base = f"{service.url}/api/v1"
        self.headers = dict(OUTSIDE)

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return requests.request(method, f"{self.base}{path}", headers=headers, timeout=HANG, **more)

    def log_in(self, name: str, password: str = PASSWORD) -> requests.Response:
        answer = self.ask("post", "/login/access-token", data={"username": name, "password": password}, headers={"Authorization": ""})
        if answer.ok:
            self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return answer


def made(service: Running, name: str = "newuser") -> Client:
    """Somebody who has an account and is logged in. The first one is made by this machine's own user."""
    body = {"email": f"{name}@example.com", "password": PASSWORD, "username": name}
    assert requests.post(f"{service.url}/api/v1/users/", json=body, timeout=HANG).ok
    client = Client(service)
    assert client.log_in(name).ok
    return client


# --- seed 4 -----------------------------------------------------------------------------------------------------------


def test_users_and_login_as_the_document_has_them(start: StartService) -> None:
    service = start()
    body = {"email": "user@example.com", "password": "securepassword123", "username": "newuser"}
    created = requests.post(f"{service.url}/api/v1/users/", json=body, timeout=HANG)
    me = {"id": 1, "email": "user@example.com", "username": "newuser", "is_active": True, "is_superuser": True}
    assert (created.status_code, created.json()) == (200, me)
    client = Client(service)
    assert set(client.log_in("newuser").json()) >= {"access_token", "token_type"}
    assert client.log_in("user@example.com").json()["token_type"] == "bearer"
    for method, path in (("get", "/users/me"), ("get", "/users/me/"), ("post", "/login/test-token")):
        assert client.ask(method, path).json() == me
    change = {"email": "new_email@example.com", "password": "new_secure_password", "username": "current_username"}
    changed = client.ask("put", "/users/me", json=change)
    assert (changed.status_code, changed.json()["username"], changed.json()["email"]) == (200, "current_username", "new_email@example.com")
    assert client.ask("get", "/users/me").status_code == 401, "a new password ends all logins"
    assert client.log_in("current_username", "new_secure_password").ok
    assert client.ask("get", "/users/1").json()["username"] == "current_username"
    assert client.ask("put", "/users/1", json={"is_active": True}).status_code == 200


def test_the_documents_errors(start: StartService) -> None:
    client = made(start())
    nobody = client.ask("get", "/users/me", headers={"Authorization": ""})
    assert (nobody.status_code, nobody.json()["detail"]) == (401, "Not authenticated")
    missing = client.ask("get", "/users/99")
    assert (missing.status_code, missing.json()["detail"]) == (404, "User not found")
    invalid = client.ask("post", "/users/", json={"email": "no address", "password": PASSWORD, "username": "x"})
    assert invalid.status_code == 422
    assert {"loc", "msg", "type"} == set(invalid.json()["detail"][0])
    weak = client.ask("post", "/users/", json={"email": "a@example.com", "password": "short", "username": "x"})
    assert (weak.status_code, weak.json()["detail"][0]["loc"]) == (422, ["body", "password"])
    wrong = client.log_in("newuser", "wrong")
    assert (wrong.status_code, wrong.json()["detail"]) == (401, "Incorrect username or password")
    user = made_by(client, "somebody")
    for path, body in (("/users/me", {"is_superuser": True}), ("/users/1", {"username": "x"}), ("/settings/", {})):
        refused = user.ask("put", path, json=body)
        assert (refused.status_code, refused.json()["detail"]) == (403, "The user doesn't have enough privileges")


def made_by(superuser: Client, name: str) -> Client:
    body = {"email": f"{name}@example.com", "password": PASSWORD, "username": name}
    assert superuser.ask("post", "/users/", json=body).ok
    other = Client.__new__(Client)
    other.base, other.headers = superuser.base, dict(OUTSIDE)
    assert other.log_in(name).ok
    return other


def test_the_password_grant_of_an_oauth_client_logs_in(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    service = start()
    made(service)
    session = OAuth2Session(client=LegacyApplicationClient(client_id="seed"))
    session.fetch_token(f"{service.url}/api/v1/login/access-token", username="newuser", password=PASSWORD, client_secret="x")
    answer = session.get(f"{service.url}/api/v1/users/me", headers=dict(OUTSIDE), timeout=HANG)  # it adds its token to them
    assert answer.json()["username"] == "newuser"


def test_an_api_key_works_where_a_token_does_until_it_is_revoked(start: StartService) -> None:
    client = made(start())
    key = client.ask("post", "/users/me/api-keys/", json={"name": "script", "scope": "read"}).json()
    for headers in ({"X-API-Key": key["key"]}, {"Authorization": f"Bearer {key['key']}"}):
        by_key = requests.get(f"{client.base}/users/me", headers={**OUTSIDE, **headers}, timeout=HANG)
        assert by_key.json().get("username") == "newuser", by_key.text
        assert requests.put(f"{client.base}/users/me", json={}, headers={**OUTSIDE, **headers}, timeout=HANG).status_code == 403
    assert client.ask("delete", f"/users/me/api-keys/{key['id']}").status_code == 200
    gone = requests.get(f"{client.base}/users/me", headers={**OUTSIDE, "X-API-Key": key["key"]}, timeout=HANG)
    assert gone.status_code == 401


@pytest.mark.parametrize("second", ["x", "mgp_nobodys"])
def test_a_wrong_credential_beside_a_right_one_is_refused(start: StartService, second: str) -> None:
    client = made(start())
    assert client.ask("get", "/users/me", headers={"X-API-Key": second}).status_code == 401


def test_credentials_of_two_accounts_are_refused(start: StartService) -> None:
    client = made(start())
    other = made_by(client, "somebody")
    key = other.ask("post", "/users/me/api-keys/", json={"name": "script"}).json()["key"]
    assert client.ask("get", "/users/me", headers={"X-API-Key": key}).status_code == 401


def test_many_wrong_passwords_are_slowed_down_and_said_when_to_come_back(start: StartService) -> None:
    client = made(start())
    answers = [client.log_in("newuser", f"wrong {number}") for number in range(30)]
    assert {answer.status_code for answer in answers} == {401, 429}
    refused = answers[-1]
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0


# --- the first user, from afar ----------------------------------------------------------------------------------------


def test_whoever_is_at_the_machine_makes_the_first_user_even_where_nobody_is_trusted(start: StartService) -> None:
    service = start(trust_local="false")
    body = {"email": "user@example.com", "password": PASSWORD, "username": "newuser"}
    assert requests.post(f"{service.url}/api/v1/users/", json=body, timeout=HANG).json()["is_superuser"] is True
    assert requests.post(f"{service.url}/api/v1/users/", json=body, timeout=HANG).status_code == 401


def test_whoever_comes_through_a_proxy_needs_the_setup_code_for_the_first_user(start: StartService) -> None:
    service = start(trust_local="false")
    body = {"email": "user@example.com", "password": PASSWORD, "username": "newuser"}
    through = {"X-Forwarded-For": "192.0.2.1"}
    assert requests.post(f"{service.url}/api/v1/users/", json=body, headers=through, timeout=HANG).status_code == 403


def test_from_afar_the_first_user_needs_the_setup_code(start: StartService) -> None:
    service = start(public_url="https://magpie.example.org", setup_code="a code of the operator")
    body = {"email": "user@example.com", "password": PASSWORD, "username": "newuser"}
    assert requests.post(f"{service.url}/api/v1/users/", json=body, timeout=HANG).status_code == 403
    with_code = requests.post(f"{service.url}/api/v1/users/", json={**body, "setup_code": "a code of the operator"}, timeout=HANG)
    assert with_code.json()["is_superuser"]
    assert requests.post(f"{service.url}/api/v1/users/", json={**body, "username": "second"}, timeout=HANG).status_code == 401


def test_a_setup_code_is_printed_once_where_none_is_given(start: StartService) -> None:
    service = start(public_url="https://magpie.example.org")
    line = next(line for line in service.log_text().splitlines() if "set-up code" in line)
    code = line.rpartition(": ")[2].strip()
    body = {"email": "user@example.com", "password": PASSWORD, "username": "newuser", "setup_code": code}
    assert requests.post(f"{service.url}/api/v1/users/", json=body, timeout=HANG).ok
    service.restart()
    assert service.log_text().count("set-up code") == 1


# --- letters ----------------------------------------------------------------------------------------------------------


class Post:
    """A post office: a real SMTP server that keeps what it gets."""

    def __init__(self) -> None:
        self.letters: list[Message] = []
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port())

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.letters.append(message_from_bytes(envelope.content))
        return "250 taken"


@pytest.fixture
def post() -> Iterator[Post]:
    office = Post()
    office.controller.start()
    yield office
    office.controller.stop()


def test_a_lost_password_goes_by_mail_and_the_answer_tells_nothing(start: StartService, post: Post) -> None:
    smtp = f"smtp://127.0.0.1:{post.controller.port}?from=magpie@example.org"
    service = start(smtp_url=smtp, public_url="https://magpie.example.org", setup_code="a code of the operator")
    body = {"email": "user@example.com", "password": PASSWORD, "username": "newuser", "setup_code": "a code of the operator"}
    assert requests.post(f"{service.url}/api/v1/users/", json=body, timeout=HANG).ok
    client = Client(service)
    answers = [client.ask("post", "/password-reset/request-reset", json={"email": f"{who}@example.com"}) for who in ("nobody", "user")]
    assert [(one.status_code, one.json()) for one in answers] == [(200, {"msg": "Password reset email sent"})] * 2
    eventually(lambda: post.letters, "a letter comes")
    (letter,) = post.letters
    assert (letter["To"], letter["From"]) == ("user@example.com", "magpie@example.org")
    text = letter.as_string().replace("=\n", "").replace("=3D", "=")
    token = text.partition("https://magpie.example.org/app/reset?token=")[2].split()[0]
    reset = {"token": token, "new_password": "new_strong_password"}
    done = client.ask("post", "/password-reset/reset", json=reset)
    assert (done.status_code, done.json()) == (200, {"msg": "Password updated successfully"})
    again = client.ask("post", "/password-reset/reset", json=reset)
    assert (again.status_code, again.json()["code"]) == (400, "code_invalid")
    assert client.log_in("newuser").status_code == 401
    assert client.log_in("newuser", "new_strong_password").ok
    assert token not in service.log_text()


def test_without_a_way_to_send_it_nothing_is_shown_in_the_log(start: StartService) -> None:
    service = start()
    client = made(service)
    assert client.ask("post", "/password-reset/request-reset", json={"email": "newuser@example.com"}).ok
    eventually(lambda: "MAGPIE_SMTP_URL" in service.log_text(), "the log says what is missing")
    assert "token=" not in service.log_text()


# --- seed 0 -----------------------------------------------------------------------------------------------------------


def test_a_download_is_linked_to_the_user_it_names_on_a_local_start(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    client = made(service, "your_username")
    done = subprocess.run(
        [sys.executable, "-m", "auto_download_client", VIDEO, "--username", "your_username", "--base-url", service.url],
        env=clean_environment(service.directory), cwd=service.directory, capture_output=True, text=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (session,) = service.rows("select owner_id from download_sessions")
    assert session["owner_id"] == client.ask("get", "/users/me").json()["id"]


def test_what_names_nobody_stays_unlinked_and_is_linked_later(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    client = made(service, "ann")
    first = service.post_auto_download(VIDEO).json()
    named = service.post_auto_download(VIDEO, username="nobody_here").json()
    assert "linked_to_user" not in first
    assert "linked_to_user" not in named
    assert "is not linked" in service.log_text()
    unlinked = requests.get(f"{service.url}/api/unlinked-sessions/", timeout=HANG).json()
    assert {one["session_id"] for one in unlinked} == {first["session_id"], named["session_id"]}
    user = made_by(client, "nobody_here")
    base = service.url
    seen = requests.get(f"{base}/api/unlinked-sessions/", headers=user.headers, timeout=HANG).json()
    assert [one["session_id"] for one in seen] == [named["session_id"]]
    link = {"session_id": named["session_id"]}
    linked = requests.post(f"{base}/api/link-session/", json=link, headers=user.headers, timeout=HANG)
    assert (linked.status_code, linked.json()["linked_to_user"]) == (200, "nobody_here")
    again = requests.post(f"{base}/api/link-session/", json=link, headers=user.headers, timeout=HANG)
    other = requests.post(f"{base}/api/link-session/", json={"session_id": first["session_id"]}, headers=user.headers, timeout=HANG)
    assert (again.status_code, other.status_code) == (404, 404)
    assert requests.get(f"{base}/api/jobs/{named['job_id']}", headers=user.headers, timeout=HANG).json()["status"] == "completed"


def test_a_user_is_not_linked_to_anothers_name(start: StartService, site: MediaSiteProcess) -> None:
    service = start()
    superuser = made(service, "ann")
    user = made_by(superuser, "ben")
    own = service.post_auto_download(VIDEO, headers=user.headers, username="ben").json()
    others = service.post_auto_download(VIDEO, headers=user.headers, username="ann").json()
    assert own["linked_to_user"] == "ben"
    assert "linked_to_user" not in others
    assert requests.get(f"{service.url}/api/jobs/{others['job_id']}", headers=superuser.headers, timeout=HANG).ok


# --- on a terminal ----------------------------------------------------------------------------------------------------


@dataclass
class OnATerminal:
    """`magpie run` as somebody types it on a terminal, with one of its streams sent into a file."""

    place: Running
    process: subprocess.Popen[bytes]
    shown: int
    screen: bytes = b""

    def is_ready(self) -> bool:
        self.has_on_screen("")  # nobody can write on a terminal for long that nobody looks at
        assert self.process.poll() is None, self.screen.decode()
        try:
            return requests.get(f"{self.place.url}/api/health/simple", timeout=HANG).ok
        except requests.ConnectionError:
            return False

    def has_on_screen(self, text: str) -> bool:
        with suppress(BlockingIOError):
            self.screen += os.read(self.shown, 65536)
        return text.encode() in self.screen

    def lose_password(self) -> None:
        client = made(self.place, "ada")
        assert client.ask("post", "/password-reset/request-reset", json={"email": "ada@example.com"}).ok

    def in_file(self) -> str:
        return self.place.log_text()


@contextmanager
def on_a_terminal(place: Running, redirected: str) -> Iterator[OnATerminal]:
    shown, terminal = pty.openpty()
    os.set_blocking(shown, False)
    with place.log_file.open("wb") as file:
        out, error = (file if name == redirected else terminal for name in ("stdout", "stderr"))
        process = subprocess.Popen(
            [str(MAGPIE), "run"], cwd=place.directory, env=place.environment, stdin=terminal, stdout=out, stderr=error
        )
    os.close(terminal)
    try:
        running = OnATerminal(place, process, shown)
        eventually(running.is_ready, f"{place.url} is ready")
        yield running
    finally:
        process.terminate()
        process.wait(HANG)
        os.close(shown)


def test_where_the_log_goes_into_a_file_the_reset_link_does_not(tmp_path: Path) -> None:
    with on_a_terminal(Running(tmp_path), "stderr") as service:
        service.lose_password()
        eventually(lambda: "MAGPIE_SMTP_URL" in service.in_file(), "the log says what is missing")
        assert ("token=" in service.in_file(), service.has_on_screen("token=")) == (False, False)


def test_where_only_data_go_into_a_file_the_terminal_shows_the_reset_link(tmp_path: Path) -> None:
    with on_a_terminal(Running(tmp_path), "stdout") as service:
        service.lose_password()
        eventually(lambda: service.has_on_screen("/app/reset?token="), "the link is shown")
        assert "token=" not in service.in_file()
