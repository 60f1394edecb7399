"""The pages of a running service: from the letter to the new password, and in a browser as people see them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from tests.e2e.conftest import StartService
from tests.support.browser import NARROW, WIDE, a_browser
from tests.support.running import HANG, MAGPIE, Running, eventually, free_port

PASSWORD, OTHER_PASSWORD = "a long enough pass phrase", "quite another pass phrase"


def add(service: Running, name: str) -> None:
    arguments = [str(MAGPIE), "user", "add", name, "--email", f"{name}@example.com"]
    subprocess.run(arguments, cwd=service.directory, env=service.environment, input=PASSWORD.encode(), check=True, timeout=HANG)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One in which there is `ada`."""
    with Running(tmp_path_factory.mktemp("service")) as running:
        add(running, "ada")
        yield running


def from_own_page() -> requests.Session:
    """Somebody whose browser says that forms come from our own pages."""
    session = requests.Session()
    session.headers["Sec-Fetch-Site"] = "same-origin"
    return session


def log_in(session: requests.Session, service: Running, password: str = PASSWORD) -> requests.Response:
    form = {"username": "ada", "password": password}
    return session.post(f"{service.url}/app/login", data=form, allow_redirects=False, timeout=HANG)


# --- without a browser ------------------------------------------------------------------------------------------------


def test_whoever_signs_in_may_use_the_api_from_our_pages(service: Running) -> None:
    session = from_own_page()
    assert log_in(session, service).status_code == 303
    assert session.get(f"{service.url}/api/v1/users/me", timeout=HANG).json()["username"] == "ada"


def test_by_https_the_cookie_is_secure(start: StartService) -> None:
    service = start(public_url="https://magpie.example")
    add(service, "ada")
    assert "; Secure" in log_in(from_own_page(), service).headers["Set-Cookie"]


@pytest.mark.parametrize("path", ["/app/reset?token=SECRETTOKEN", "/app/sign-in?code=SECRETTOKEN"])
def test_a_token_in_an_address_is_in_no_log(service: Running, path: str) -> None:
    requests.get(service.url + path, timeout=HANG)
    eventually(lambda: path.partition("?")[0] in service.log_text(), "the request is logged")
    assert "SECRETTOKEN" not in service.log_text()


class Letters(Message):
    """What the mail server took."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_message(self, message: Any) -> None:
        self.texts.append(message.get_payload(decode=True).decode())


@pytest.fixture
def letters() -> Iterator[tuple[Letters, str]]:
    """A mail server's letters, and where it listens."""
    handler, port = Letters(), free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield handler, f"smtp://127.0.0.1:{port}?from=magpie@example.org"
    finally:
        controller.stop()


def test_the_letter_leads_to_the_page_for_a_new_password(start: StartService, letters: tuple[Letters, str]) -> None:
    kept, smtp = letters
    service = start(smtp_url=smtp, public_url="https://magpie.example")
    add(service, "ada")
    session = from_own_page()
    session.post(f"{service.url}/app/reset", data={"email": "ada@example.com"}, timeout=HANG).raise_for_status()
    text = eventually(lambda: "".join(kept.texts), "the letter is there")
    link = re.search(r"https://magpie\.example(/app/reset\?token=\S+)", text)
    assert link, text
    page = session.get(service.url + link[1], timeout=HANG).text
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token, page
    done = session.post(f"{service.url}/app/reset", data={"token": token[1], "new_password": OTHER_PASSWORD}, timeout=HANG)
    assert done.status_code == 200
    assert [log_in(session, service, word).status_code for word in (PASSWORD, OTHER_PASSWORD)] == [401, 303]


# --- in a browser -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_page(viewport: dict[str, int] | None = None) -> Any:
    """An empty page, and what its console complains about."""
    async with a_browser() as browser:
        context = await browser.new_context(viewport=viewport or WIDE)
        page, complaints = await context.new_page(), list[str]()
        page.set_default_timeout(30_000)
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        yield page, complaints


async def fill_in(page: Any, password: str) -> None:
    await page.get_by_label("Name or e-mail address").fill("ada")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_person_signs_in_and_out(service: Running) -> None:
    async with a_page() as (page, complaints):
        await page.goto(f"{service.url}/app/")
        await page.get_by_role("link", name="Sign in").click()
        await fill_in(page, PASSWORD)
        await page.get_by_text("You are signed in as ada").wait_for()
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/app/login")
        await page.goto(f"{service.url}/app/")
        await page.get_by_role("heading", name="Not signed in").wait_for()
        assert complaints == []


async def test_a_person_who_mistyped_tries_again(service: Running) -> None:
    async with a_page() as (page, _):
        await page.goto(f"{service.url}/app/login")
        await fill_in(page, "not her password")
        await page.get_by_role("alert").get_by_text("The name or the password is wrong.").wait_for()
        assert await page.get_by_label("Name or e-mail address").input_value() == "ada"
        await fill_in(page, PASSWORD)
        await page.get_by_text("You are signed in as ada").wait_for()


@pytest.mark.parametrize("path", ["/app/", "/app/login", "/app/reset", "/app/reset?token=x", "/app/sign-in"])
async def test_on_a_phone_nothing_sticks_out(service: Running, path: str, tmp_path: Path) -> None:
    async with a_page(NARROW) as (page, complaints):
        await page.goto(service.url + path)
        assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert complaints == []
