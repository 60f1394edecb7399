"""`/api/v1/login/…` and `/api/v1/password-reset/…`: becoming known with a password, and getting a new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from service.errors import CodeInvalid, InvalidAccount, TooManyTries, WrongPassword
from service.logins import Logins
from webapi.accounts import Email, Password, UserView, shown
from webapi.auth import Caller
from webapi.contract import ACCOUNTS, EVERYBODY, Api
from webapi.parameters import FORM, MULTIPART, Body
from webapi.problems import not_authenticated


class Credentials(BaseModel):
    """As OAuth 2's password grant sends them; `username` may be an e-mail address."""

    username: Annotated[str, Field(min_length=1, max_length=320)]
    password: Annotated[str, Field(max_length=4000, json_schema_extra={"format": "password"})]
    grant_type: Literal["", "password"] = "password"
    scope: Annotated[str, Field(max_length=1000)] = ""
    client_id: Annotated[str, Field(max_length=1000)] = ""
    client_secret: Annotated[str, Field(max_length=1000)] = ""


class AccessToken(BaseModel):
    """A token for `Authorization: Bearer`. `expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a kind of token
    expires_in: int


class ResetRequest(BaseModel):
    """Whose password was lost."""

    email: Email


class Reset(BaseModel):
    """The token from the letter, and the password from now on."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
    new_password: Password


class Message(BaseModel):
    """What was done."""

    msg: str


class LoginEndpoints:
    """Public: whoever calls is not known yet, and other credentials (OAuth clients send their own) are not looked at."""

    def __init__(self, logins: Logins, address_of: Callable[[web.Request], str]) -> None:
        self._logins, self._address_of = logins, address_of

    def register(self, api: Api) -> None:
        login, reset = "/api/v1/login", "/api/v1/password-reset"
        api.route("POST", f"{login}/access-token", access=EVERYBODY, tags=["Login"], faults=[WrongPassword, TooManyTries])(self.log_in)
        api.route("POST", f"{login}/test-token", access=replace(ACCOUNTS, local=401, reads=True), tags=["Login"])(self.test_token)
        api.route("POST", f"{reset}/request-reset", access=EVERYBODY, tags=["Login"], faults=[TooManyTries])(self.request_reset)
        api.route("POST", f"{reset}/reset", access=EVERYBODY, tags=["Login"], faults=[CodeInvalid, InvalidAccount, TooManyTries])(
            self.reset_password
        )

    async def log_in(self, request: web.Request, credentials: Annotated[Credentials, Body(accepts=(FORM, MULTIPART))]) -> AccessToken:
        """Log in by name or e-mail address: a token for an hour."""
        login = await self._logins.log_in(credentials.username, credentials.password, self._address_of(request))
        life = login.claims.expires_at - login.claims.issued_at
        return AccessToken(access_token=login.token, expires_in=round(life.total_seconds()))

    async def test_token(self, caller: Caller) -> UserView:
        """Whose token this is."""
        if caller.account is None:
            raise not_authenticated()
        return shown(caller.account)

    async def request_reset(self, request: web.Request, asked: ResetRequest) -> Message:
        """Have a link for a new password sent.

        The answer does not tell whether anybody has this address.
        """
        await self._logins.request_reset(asked.email, self._address_of(request))
        return Message(msg="Password reset email sent")

    async def reset_password(self, request: web.Request, reset: Reset) -> Message:
        """Set a new password, once, with the token from the letter. All logins end."""
        await self._logins.reset(reset.token, reset.new_password, self._address_of(request))
        return Message(msg="Password updated successfully")
