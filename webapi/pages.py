"""`/app/…`: plain pages on which people sign in and out, get a new password, and use a one-time link.

They work without scripts, and nothing on them comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from service.errors import CodeInvalid, InvalidAccount, TooManyTries, WrongPassword
from service.logins import COOKIE_LIFE, Audience, Login, Logins
from service.passwords import MIN_LENGTH
from webapi.auth import Caller
from webapi.contract import EVERYBODY, Api, Content
from webapi.credentials import COOKIE, COOKIE_IS_OLD, RequestCredentials
from webapi.pages_rendering import HEADERS, Look, PageErrors
from webapi.parameters import Form, Query
from webapi.problems import Problem, Refused

_HERE: Final = Path(__file__).parent / "static"
HOME, LOGIN = "/app/", "/app/login"
Typed = Annotated[str, Field(max_length=320), Form()]
TypedPassword = Annotated[str, Field(max_length=4000, json_schema_extra={"format": "password"}), Form()]
TypedSecret = Annotated[str, Field(max_length=200), Form()]
ShownSecret = Annotated[str, Query()]


class Pages:
    """Public, each of them: on all but the first and the way out it does not matter who calls, and no credential is looked at."""

    def __init__(
        self, *, logins: Logins, credentials: RequestCredentials, address_of: Callable[[web.Request], str], is_secure: bool
    ) -> None:
        """`is_secure`: the world reaches us by HTTPS, so the cookie never goes another way."""
        self._logins, self._credentials, self._address_of, self._is_secure = logins, credentials, address_of, is_secure
        self._look = Look()

    def register(self, api: Api) -> None:
        shape = PageErrors(self._look)
        page, moved = {200: Content("text/html")}, {303: None}

        def route(method: str, path: str, **about: Any) -> Any:
            return api.route(method, path, access=EVERYBODY, tags=["Pages"], errors=shape, **about)

        def form(path: str, **about: Any) -> Any:
            return route("POST", path, failures=[403], **about)

        route("GET", HOME, answers=page)(self.home_page)
        route("GET", LOGIN, answers=page)(self.login_page)
        form(LOGIN, answers={**moved, 401: Content("text/html")}, faults=[WrongPassword, TooManyTries])(self.log_in_on_page)
        form("/app/logout", answers=moved)(self.log_out_on_page)
        route("GET", "/app/reset", answers=page)(self.reset_page)
        form("/app/reset", answers={**page, 400: Content("text/html"), 422: Content("text/html")}, faults=[TooManyTries])(
            self.reset_on_page
        )
        route("GET", "/app/sign-in", answers={**page, 400: Content("text/html")}, faults=[TooManyTries])(self.sign_in_page)
        form("/app/sign-in", answers={**moved, 400: Content("text/html")}, faults=[TooManyTries])(self.sign_in_on_page)
        for path, kind, handler in (
            ("/app/style.css", "text/css", self.page_style),
            ("/app/favicon.svg", "image/svg+xml", self.page_icon),
        ):
            route("GET", path, answers={200: Content(kind), 206: Content(kind), 304: None}, failures=[412, 416])(handler)

    # --- who one is -------------------------------------------------------------------------------------------------

    async def home_page(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Who one is signed in as."""
        login = caller.login if caller.login and caller.login.claims.audience is Audience.WEB else None
        return self._look.page(
            "home.html",
            account=caller.account,
            is_local=caller.is_local,
            csrf_token=self._credentials.csrf_token(login) if login else None,
            # A cookie that is good, but does not count: a link on another site led here, or the browser does not tell.
            is_cookie_unused=caller.login is None and COOKIE in request.cookies and not request.get(COOKIE_IS_OLD),
            tells_where_from="Sec-Fetch-Site" in request.headers,
        )

    async def log_out_on_page(self, request: web.Request, caller: Caller, csrf_token: TypedSecret = "") -> web.StreamResponse:
        """Sign out of this browser."""
        del csrf_token  # whoever shows a cookie has shown the token of its forms as well
        self._only_our_pages(request)
        if caller.login is not None:
            await self._logins.log_out(caller.login)
        return self._moved_to(LOGIN, forget=True)

    # --- by password ------------------------------------------------------------------------------------------------

    async def login_page(self) -> web.StreamResponse:
        """A form to sign in with a password."""
        return self._login_form()

    async def log_in_on_page(self, request: web.Request, username: Typed = "", password: TypedPassword = "") -> web.StreamResponse:
        """Sign in with a password."""
        self._only_our_pages(request)
        try:
            login = await self._logins.log_in(username.strip(), password, self._address_of(request), Audience.WEB)
        except WrongPassword:
            return self._login_form("The name or the password is wrong.", username=username, status=401)
        return self._signed_in(login)

    def _login_form(self, problem: str | None = None, *, username: str = "", status: int = 200) -> web.Response:
        headers = {"WWW-Authenticate": "Bearer"} if problem else None
        return self._look.page("login.html", status=status, headers=headers, problem=problem, username=username)

    # --- a lost password --------------------------------------------------------------------------------------------

    async def reset_page(self, token: ShownSecret = "") -> web.StreamResponse:
        """A form to ask for a letter; with the token from the letter, one for the new password."""
        return self._reset_form(token)

    async def reset_on_page(
        self, request: web.Request, email: Typed = "", token: TypedSecret = "", new_password: TypedPassword = ""
    ) -> web.StreamResponse:
        """Ask for a letter with a link, or set a new password with the token from it.

        The answer to an address does not tell whether anybody has it.
        """
        self._only_our_pages(request)
        if not token:
            await self._logins.request_reset(email.strip(), self._address_of(request))
            return self._look.page("reset_sent.html")
        try:
            await self._logins.reset(token.strip(), new_password, self._address_of(request))
        except CodeInvalid:
            return self._reset_form("", "This link is not valid any more: it works once, and for an hour.", status=400)
        except InvalidAccount as weak:
            return self._reset_form(token, weak.message, status=422)
        response = self._look.page("reset_done.html")
        response.del_cookie(COOKIE, path="/")  # that login has ended like all others
        return response

    def _reset_form(self, token: str, problem: str | None = None, *, status: int = 200) -> web.Response:
        return self._look.page("reset.html", status=status, token=token, problem=problem, least=MIN_LENGTH)

    # --- by a one-time link -----------------------------------------------------------------------------------------

    async def sign_in_page(self, request: web.Request, code: ShownSecret = "") -> web.StreamResponse:
        """Where a one-time link leads: whose account it opens, and a button.

        To look at the page, as link previews do, uses nothing up.
        """
        if not code:
            return self._look.page("sign_in.html", code="", problem=None)
        try:
            account = await self._logins.account_of_code(code.strip(), self._address_of(request))
        except CodeInvalid:
            return self._used_link()
        return self._look.page("sign_in.html", code=code, name=account.username, problem=None)

    async def sign_in_on_page(self, request: web.Request, code: TypedSecret = "") -> web.StreamResponse:
        """Sign in with a one-time link."""
        self._only_our_pages(request)
        try:
            login = await self._logins.sign_in(code.strip(), self._address_of(request))
        except CodeInvalid:
            return self._used_link()
        return self._signed_in(login)

    def _used_link(self) -> web.Response:
        return self._look.page(
            "sign_in.html", status=400, code="", problem="This link is not valid any more: it works once, and for ten minutes."
        )

    # --- parts ------------------------------------------------------------------------------------------------------

    async def page_style(self) -> web.StreamResponse:
        """The style of the pages."""
        return _file("app/app.css", "text/css")

    async def page_icon(self) -> web.StreamResponse:
        """The icon of the pages."""
        return _file("chat/favicon.svg", "image/svg+xml")

    def _only_our_pages(self, request: web.Request) -> None:
        """Else another site could sign somebody in under a name that is not theirs, or out. Raises `Refused`."""
        if not self._credentials.comes_from_our_pages(request):
            detail = "This form did not come from Magpie's own page. Open the page anew and send it from there."
            raise Refused(Problem(status=403, code="foreign_form", detail=detail))

    def _signed_in(self, login: Login) -> web.Response:
        response = self._moved_to(HOME)
        life = round(COOKIE_LIFE.total_seconds())
        response.set_cookie(COOKIE, login.token, max_age=life, path="/", httponly=True, samesite="Lax", secure=self._is_secure)
        return response

    def _moved_to(self, path: str, *, forget: bool = False) -> web.Response:
        response = web.Response(status=303, headers={**HEADERS, "Location": path})
        if forget:
            response.del_cookie(COOKIE, path="/")
        return response


def _file(name: str, content_type: str) -> web.FileResponse:
    return web.FileResponse(
        _HERE / name, headers={**HEADERS, "Content-Type": f"{content_type}; charset=utf-8", "Cache-Control": "no-cache"}
    )
