"""The pages on which people sign in: what they show, whom they let in, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import pytest

from service.accounts import AccountChange
from service.logins import COOKIE_LIFE, Audience
from service.model import Account
from storage.database import SqlDatabase
from storage.migrate import upgrade
from tests.support.fakes import FakeClock
from tests.support.people import OPERATOR, OTHER_PASSWORD, PASSWORD, Town
from tests.unit.webapi.toy import Site, served
from webapi.auth import Authenticator, caller_address, local_trust
from webapi.contract import Api
from webapi.credentials import COOKIE, RequestCredentials
from webapi.pages import Pages
from webapi.server import LOOPBACK

PAGES = ["/app/", "/app/login", "/app/reset", "/app/reset?token=x", "/app/sign-in"]
FORMS = ["/app/login", "/app/logout", "/app/reset", "/app/sign-in"]
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Got:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    text: str
    cookie: Morsel[str] | None

    @property
    def problem(self) -> str | None:
        found = re.search(r'<p role="alert"[^>]*>([^<]+)</p>', self.text)
        return found[1] if found else None

    def hidden(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]+)"', self.text)
        assert found, self.text
        return found[1]


@dataclass
class Browser:
    """Somebody at the pages. Keeps the cookie as a browser does."""

    site: Site
    town: Town
    cookie: str | None = None
    headers: dict[str, str] = field(default_factory=lambda: dict(OWN_PAGE))

    async def get(self, path: str, method: str = "GET") -> Got:
        return await self._ask(method, path)

    async def send(self, path: str, **fields: str) -> Got:
        return await self._ask("POST", path, fields)

    async def _ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> Got:
        headers = {**self.headers, **({"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {})}
        async with self.site.http.request(method, path, data=fields, headers=headers, allow_redirects=False) as got:
            found = SimpleCookie("; ".join(got.headers.getall("Set-Cookie", []))).get(COOKIE)
            if found is not None:
                self.cookie = found.value or None
            return Got(got.status, got.headers, await got.text(), found)

    async def log_in(self, name: str = "ada", password: str = PASSWORD) -> Got:
        return await self.send("/app/login", username=name, password=password)


@pytest.fixture
async def town(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Town]:
    url = f"sqlite:///{tmp_path}/magpie.db"
    await upgrade(url)
    database = SqlDatabase(url)
    town = Town(database, clock)
    yield town
    await town.logins.close()
    town.hashes.close()
    await database.close()


@asynccontextmanager
async def pages_of(town: Town, *, is_secure: bool = False, is_trusting: bool = False) -> AsyncIterator[Browser]:
    credentials = RequestCredentials(logins=town.logins, keys=town.keys, mini_app=None, vault=town.vault)
    trust = local_trust(enabled=is_trusting, listen=LOOPBACK, public_urls=())
    api = Api(title="Pages", version="1")
    Pages(
        logins=town.logins, credentials=credentials, address_of=lambda request: caller_address(request, []), is_secure=is_secure
    ).register(api)
    async with served(api, authenticator=Authenticator(trust=trust, credentials=credentials)) as site:
        yield Browser(site, town)


@pytest.fixture
async def browser(town: Town) -> AsyncIterator[Browser]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(pages_of(town))


@pytest.fixture
async def ada(town: Town) -> Account:
    return await town.account("ada")


async def the_letter(town: Town) -> str:
    """The token in the letter that was sent."""
    await town.logins.close()
    (_, token) = town.letters.sent[-1]
    return token


# --- every page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/app"])
async def test_a_page_is_never_stored_and_says_nothing_to_other_sites(browser: Browser, path: str) -> None:
    got = await browser.get(path)
    assert (got.status, got.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (got.headers["Cache-Control"], got.headers["Referrer-Policy"]) == ("no-store", "same-origin")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_can_run_no_script_and_be_put_in_no_frame(browser: Browser, path: str) -> None:
    got = await browser.get(path)
    policy = dict(part.split(" ", 1) for part in got.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert (policy["form-action"], policy["style-src"], "script-src" in policy) == ("'self'", "'self'", False)
    assert re.findall(r"<script|<style|\son\w+=|\sstyle=", got.text) == [], "the policy would refuse it"


@pytest.mark.parametrize("path", PAGES)
async def test_all_that_a_page_loads_and_leads_to_is_there(browser: Browser, path: str) -> None:
    got = await browser.get(path)
    named = set(re.findall(r'(?:src|href|action)="([^"]+)"', got.text))
    assert {"/app/style.css", "/app/favicon.svg"} <= named
    assert {name: (await browser.get(name)).status for name in named - {"/app/logout"}} == dict.fromkeys(named - {"/app/logout"}, 200)


@pytest.mark.parametrize("path", PAGES)
async def test_every_field_has_a_label_and_tells_the_browser_what_it_is(browser: Browser, path: str) -> None:
    fields = [one for one in re.findall(r"<input[^>]+>", (await browser.get(path)).text) if 'type="hidden"' not in one]
    text = (await browser.get(path)).text
    for one in fields:
        name = re.search(r'id="([^"]+)"', one)
        assert name, one
        assert f'<label for="{name[1]}">' in text
        assert "autocomplete=" in one


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/app/login", ["username", "current-password"]), ("/app/reset?token=x", ["new-password"]),
        ("/app/reset", ["email", "one-time-code"]),
    ],
)  # fmt: skip
async def test_password_managers_know_what_to_fill_in(browser: Browser, path: str, wanted: list[str]) -> None:
    assert re.findall(r'autocomplete="([^"]+)"', (await browser.get(path)).text) == wanted


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_fits_a_phone(browser: Browser, path: str) -> None:
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in (await browser.get(path)).text


async def test_an_error_is_a_page_too(browser: Browser) -> None:
    async with browser.site.http.post("/app/login", json={}, headers=OWN_PAGE) as got:
        assert (got.status, got.content_type, got.headers["Cache-Control"]) == (415, "text/html", "no-store")
        assert 'role="alert"' in await got.text()


# --- by password ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.com", " ada "])
async def test_the_right_password_leads_to_the_start_page(browser: Browser, ada: Account, name: str) -> None:
    got = await browser.log_in(name)
    assert (got.status, got.headers["Location"], got.headers["Cache-Control"]) == (303, "/app/", "no-store")
    home = await browser.get("/app/")
    assert "You are signed in as <strong>ada</strong>" in home.text


async def test_scripts_do_not_see_the_cookie_and_other_sites_do_not_send_it(browser: Browser, ada: Account) -> None:
    cookie = (await browser.log_in()).cookie
    assert cookie is not None
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Lax", "/", "")


async def test_the_cookie_lasts_as_long_as_the_login(browser: Browser, ada: Account) -> None:
    cookie = (await browser.log_in()).cookie
    assert cookie is not None
    assert cookie["max-age"] == str(round(COOKIE_LIFE.total_seconds()))


async def test_where_the_world_comes_by_https_the_cookie_goes_no_other_way(town: Town, ada: Account) -> None:
    async with pages_of(town, is_secure=True) as browser:
        cookie = (await browser.log_in()).cookie
    assert cookie is not None
    assert cookie["secure"] is True


async def test_the_cookie_is_no_token_for_the_api(browser: Browser, ada: Account) -> None:
    await browser.log_in()
    assert await browser.town.logins.of_token(browser.cookie or "", Audience.API) is None


@pytest.mark.parametrize(("name", "password"), [("ada", "not her password"), ("nobody", PASSWORD), ("", ""), ("ada", "")])
async def test_a_wrong_password_gets_one_sentence_and_no_cookie(browser: Browser, ada: Account, name: str, password: str) -> None:
    got = await browser.log_in(name, password)
    assert (got.status, got.problem, got.cookie) == (401, "The name or the password is wrong.", None)


async def test_what_was_typed_is_there_again_as_text_only(browser: Browser) -> None:
    got = await browser.log_in('"><script>alert(1)</script>')
    assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in got.text


async def test_too_many_wrong_passwords_have_to_wait(browser: Browser, ada: Account) -> None:
    for _ in range(10):
        await browser.log_in(password="not her password")
    got = await browser.log_in()
    assert (got.status, got.problem, got.cookie) == (429, "Too many tries; wait a little.", None)
    assert int(got.headers["Retry-After"]) > 0


async def test_a_blocked_account_does_not_get_in(browser: Browser, ada: Account, town: Town) -> None:
    other = await town.account("bob")
    await town.accounts.change(OPERATOR, other.id, AccountChange(is_active=False))
    assert (await browser.log_in("bob")).status == 401


# --- forms from elsewhere ---------------------------------------------------------------------------------------------

ELSEWHERE: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
]  # fmt: skip


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_a_form_from_elsewhere_is_refused(browser: Browser, ada: Account, path: str, headers: dict[str, str]) -> None:
    code = await browser.town.logins.sign_in_code(ada)
    browser.headers = headers
    got = await browser.send(path, username="ada", password=PASSWORD, email="ada@example.com", code=code)
    assert (got.status, got.cookie, got.headers["Content-Type"]) == (403, None, "text/html; charset=utf-8")


async def test_a_form_of_our_own_origin_is_taken(browser: Browser, ada: Account) -> None:
    browser.headers = {"Origin": browser.site.url}
    assert (await browser.log_in()).status == 303


# --- who one is -------------------------------------------------------------------------------------------------------


async def test_who_is_not_signed_in_is_led_to_the_form(browser: Browser) -> None:
    text = (await browser.get("/app/")).text
    assert ('href="/app/login"' in text, "Sign out" in text, "machine" in text) == (True, False, False)


async def test_who_is_trusted_on_this_machine_is_told_so(town: Town) -> None:
    async with pages_of(town, is_trusting=True) as browser:
        assert "it trusts you without a password" in (await browser.get("/app/")).text


async def test_who_follows_a_link_from_elsewhere_goes_on_with_one_tap(browser: Browser, ada: Account) -> None:
    await browser.log_in()
    browser.headers = {"Sec-Fetch-Site": "cross-site"}
    got = await browser.get("/app/")
    assert ('<a class="button" href="/app/">Go on</a>' in got.text, "ada" in got.text, got.cookie) == (True, False, None)


async def test_who_is_signed_in_over_plain_http_learns_why_it_does_not_count(browser: Browser, ada: Account) -> None:
    await browser.log_in()
    browser.headers = {}
    assert "Use the HTTPS address" in (await browser.get("/app/")).text


async def test_a_cookie_that_is_too_old_counts_as_none_and_goes(browser: Browser, ada: Account, clock: FakeClock) -> None:
    await browser.log_in()
    clock.move(COOKIE_LIFE + timedelta(seconds=1))
    got = await browser.get("/app/")
    assert (got.status, browser.cookie, "Not signed in" in got.text) == (200, None, True)


async def test_a_cookie_that_is_void_is_a_page_that_leads_to_the_form(browser: Browser, ada: Account, town: Town) -> None:
    await browser.log_in()
    await town.accounts.change(OPERATOR, ada.id, AccountChange(password=OTHER_PASSWORD))
    got = await browser.get("/app/")
    assert (got.status, got.problem, browser.cookie) == (401, "You are no longer signed in.", None)
    assert 'href="/app/login"' in got.text


@pytest.mark.parametrize("path", PAGES[1:])
@pytest.mark.parametrize("kind", ["expired", "void", "wrong"])
async def test_a_bad_cookie_keeps_nobody_from_signing_in(browser: Browser, ada: Account, path: str, kind: str) -> None:
    logins = browser.town.logins
    ways = {"void": logins.login_of(replace(ada, token_epoch=7), Audience.WEB).token, "wrong": "not.a.token"}
    browser.town.clock.move(-2 * COOKIE_LIFE)
    ways["expired"] = logins.login_of(ada, Audience.WEB).token
    browser.town.clock.move(2 * COOKIE_LIFE)
    browser.cookie = ways[kind]
    assert (await browser.get(path)).status == 200


@pytest.mark.parametrize("cookie", ["not.a.token", "x" * 5000])
async def test_one_signs_in_over_a_bad_cookie(browser: Browser, ada: Account, cookie: str) -> None:
    browser.cookie = cookie
    await browser.log_in()
    assert "<strong>ada</strong>" in (await browser.get("/app/")).text


# --- signing out ------------------------------------------------------------------------------------------------------


async def test_signing_out_takes_the_cookie_away(browser: Browser, ada: Account) -> None:
    await browser.log_in()
    token = (await browser.get("/app/")).hidden("csrf_token")
    got = await browser.send("/app/logout", csrf_token=token)
    assert (got.status, got.headers["Location"], browser.cookie) == (303, "/app/login", None)


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_nobody_is_signed_out_without_the_token_of_the_form(browser: Browser, ada: Account, token: str) -> None:
    await browser.log_in()
    got = await browser.send("/app/logout", csrf_token=token)
    assert (got.status, got.cookie) == (403, None)


async def test_the_token_of_another_login_signs_nobody_out(browser: Browser, ada: Account) -> None:
    await browser.log_in()
    token = (await browser.get("/app/")).hidden("csrf_token")
    await browser.log_in()
    assert (await browser.send("/app/logout", csrf_token=token)).status == 403


async def test_a_login_that_is_too_old_is_signed_out_anyway(browser: Browser, ada: Account, clock: FakeClock) -> None:
    await browser.log_in()
    token = (await browser.get("/app/")).hidden("csrf_token")
    clock.move(COOKIE_LIFE + timedelta(seconds=1))
    got = await browser.send("/app/logout", csrf_token=token)
    assert (got.status, browser.cookie) == (303, None)


# --- a lost password --------------------------------------------------------------------------------------------------


async def test_every_address_gets_the_same_answer(browser: Browser, ada: Account) -> None:
    answers = {(await browser.send("/app/reset", email=email)).text for email in ("ada@example.com", "nobody@example.com", "nonsense", "")}
    assert len(answers) == 1
    assert "a letter is on its way" in answers.pop()


async def test_the_letter_goes_to_whoever_has_the_address(browser: Browser, ada: Account, town: Town) -> None:
    await browser.send("/app/reset", email="nobody@example.com")
    await browser.send("/app/reset", email=" Ada@example.com ")
    await the_letter(town)
    assert [name for name, _ in town.letters.sent] == ["ada"]


async def test_whoever_asks_for_many_letters_has_to_wait(browser: Browser) -> None:
    got = [await browser.send("/app/reset", email=f"{number}@example.com") for number in range(21)][-1]
    assert (got.status, int(got.headers["Retry-After"]) > 0) == (429, True)


async def test_the_token_from_the_letter_sets_a_new_password(browser: Browser, ada: Account, town: Town) -> None:
    await browser.send("/app/reset", email="ada@example.com")
    page = await browser.get(f"/app/reset?token={await the_letter(town)}")
    got = await browser.send("/app/reset", token=page.hidden("token"), new_password=OTHER_PASSWORD)
    assert (got.status, 'href="/app/login"' in got.text) == (200, True)
    assert (await browser.log_in(password=OTHER_PASSWORD)).status == 303


async def test_a_new_password_ends_the_login_that_this_browser_had(browser: Browser, ada: Account, town: Town) -> None:
    await browser.log_in()
    await browser.send("/app/reset", email="ada@example.com")
    await browser.send("/app/reset", token=await the_letter(town), new_password=OTHER_PASSWORD)
    assert browser.cookie is None


async def test_a_weak_password_is_explained_and_the_token_still_works(browser: Browser, ada: Account, town: Town) -> None:
    await browser.send("/app/reset", email="ada@example.com")
    got = await browser.send("/app/reset", token=await the_letter(town), new_password="short")
    assert (got.status, got.problem) == (422, "A password needs at least 15 characters; a few words make a good one.")
    again = await browser.send("/app/reset", token=got.hidden("token"), new_password=OTHER_PASSWORD)
    assert again.status == 200


async def test_a_used_token_is_refused_and_another_letter_offered(browser: Browser, ada: Account, town: Town) -> None:
    await browser.send("/app/reset", email="ada@example.com")
    token = await the_letter(town)
    await browser.send("/app/reset", token=token, new_password=OTHER_PASSWORD)
    got = await browser.send("/app/reset", token=token, new_password=PASSWORD)
    assert (got.status, 'name="email"' in got.text) == (400, True)
    assert got.problem == "This link is not valid any more: it works once, and for an hour."


# --- by a one-time link -----------------------------------------------------------------------------------------------


async def test_looking_at_a_one_time_link_uses_nothing_up(browser: Browser, ada: Account, town: Town) -> None:
    code = await town.logins.sign_in_code(ada)
    looked = [await browser.get(f"/app/sign-in?code={code}", method) for method in ("GET", "HEAD", "GET")]
    assert [(got.status, got.cookie) for got in looked] == [(200, None)] * 3
    got = await browser.send("/app/sign-in", code=looked[-1].hidden("code"))
    assert (got.status, got.headers["Location"]) == (303, "/app/")
    assert "<strong>ada</strong>" in (await browser.get("/app/")).text


async def test_a_one_time_link_says_whose_account_it_opens(browser: Browser, ada: Account, town: Town) -> None:
    code = await town.logins.sign_in_code(ada)
    assert "<strong>ada</strong>" in (await browser.get(f"/app/sign-in?code={code}")).text


async def test_a_wrong_one_time_link_is_refused_before_its_button(browser: Browser) -> None:
    got = await browser.get("/app/sign-in?code=wrong")
    assert (got.status, "not valid any more" in got.text, "<button" in got.text) == (400, True, False)


async def test_a_sign_in_ends_with_the_sign_out(browser: Browser, ada: Account, town: Town) -> None:
    await browser.send("/app/sign-in", code=await town.logins.sign_in_code(ada))
    cookie, csrf_token = browser.cookie, (await browser.get("/app/")).hidden("csrf_token")
    await browser.send("/app/logout", csrf_token=csrf_token)
    browser.cookie = cookie
    assert "ada" not in (await browser.get("/app/")).text


async def test_a_one_time_link_works_once(browser: Browser, ada: Account, town: Town) -> None:
    code = await town.logins.sign_in_code(ada)
    await browser.send("/app/sign-in", code=code)
    got = await browser.send("/app/sign-in", code=code)
    assert (got.status, got.cookie) == (400, None)
    assert got.problem == "This link is not valid any more: it works once, and for ten minutes."


@pytest.mark.parametrize("code", ["", "wrong"])
async def test_a_link_without_a_right_code_signs_nobody_in(browser: Browser, code: str) -> None:
    assert (await browser.send("/app/sign-in", code=code)).status == 400


async def test_codes_cannot_be_tried_without_end(browser: Browser) -> None:
    got = [await browser.send("/app/sign-in", code=f"wrong {number}") for number in range(21)][-1]
    assert (got.status, int(got.headers["Retry-After"]) > 0) == (429, True)
