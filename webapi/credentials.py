"""What a request shows to be known: a token, an API key, a Mini App's word, the cookie of our pages."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from service.credentials import PREFIX, ApiKeys, Scope
from service.logins import Audience, Login, Logins
from service.mini_app import MiniApp
from service.model import Account
from service.ports import Vault
from webapi.auth import Caller, CallerKind, origin_of
from webapi.parameters import FORM, MULTIPART
from webapi.problems import Problem, Refused, malformed, not_authenticated

COOKIE: Final = "magpie_login"
CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf_token"
CSRF_PURPOSE: Final = "csrf"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
COOKIE_IS_OLD: Final = web.RequestKey("cookie_is_old", bool)
"""Set on a request whose cookie is to be cleared with the answer."""
BEARER, MINI_APP = "bearer", "tma"
_WIDTHS = (Scope.METRICS, Scope.READ, Scope.ALL)


class RequestCredentials:
    """Every credential counts: one that is wrong is refused, and so are two of different accounts."""

    def __init__(self, *, logins: Logins, keys: ApiKeys, mini_app: MiniApp | None, vault: Vault, public_url: str | None = None) -> None:
        self._logins, self._keys, self._mini_app, self._vault = logins, keys, mini_app, vault
        self._public_origin = origin_of(public_url) if public_url else None

    async def known(self, request: web.Request, *, is_public: bool) -> Caller | None:
        """Raises `Refused` (401). On a public page an expired cookie is cleared and counts as none."""
        callers = [await self._by_header(line) for line in request.headers.getall("Authorization", [])]
        callers += [await self._by_key(key) for key in request.headers.getall("X-API-Key", [])]
        cookie = await self._by_cookie(request, is_public=is_public)
        if cookie is not None:
            callers.append(cookie)
        if len({caller.account_id for caller in callers}) > 1:
            raise not_authenticated()
        # The narrowest counts: a key that may only read does not grow beside a token.
        return min(callers, key=lambda caller: _WIDTHS.index(caller.scope), default=None)

    async def _by_header(self, line: str) -> Caller:
        scheme, _, secret = line.strip().partition(" ")
        secret = secret.strip()
        if scheme.lower() == BEARER and secret.startswith(PREFIX):
            return await self._by_key(secret)
        if scheme.lower() == BEARER and (login := await self._logins.of_token(secret)) is not None:
            return _caller(login.account, login=login)
        if scheme.lower() == MINI_APP and self._mini_app is not None and (account := await self._mini_app.account_of(secret)) is not None:
            return _caller(account)
        raise not_authenticated()

    async def _by_key(self, secret: str) -> Caller:
        found = await self._keys.owner_of(secret.strip())
        if found is None:
            raise not_authenticated()
        key, account = found
        kind = CallerKind.SUPERUSER if account.is_superuser else CallerKind.USER
        return Caller(kind=kind, account_id=account.id, address="", account=account, scope=key.scope, key_id=key.id)

    async def _by_cookie(self, request: web.Request, *, is_public: bool) -> Caller | None:
        token = request.cookies.get(COOKIE)
        if not token:
            return None
        login = await self._logins.of_token(token, Audience.WEB)
        if login is None:
            request[COOKIE_IS_OLD] = True
            if is_public and self._logins.is_expired(token):
                return None
            raise not_authenticated()
        if not self.comes_from_our_pages(request):
            if is_public and request.method in SAFE:
                return None  # somebody follows a link from elsewhere
            raise not_authenticated()
        if request.method not in SAFE and not await self._has_csrf_token(request, login):
            raise Refused(Problem(status=403, code="csrf_token_missing", detail="This form is too old; load the page again."))
        return _caller(login.account, login=login)

    async def _has_csrf_token(self, request: web.Request, login: Login) -> bool:
        token = request.headers.get(CSRF_HEADER)
        if token is None and request.content_type in {FORM, MULTIPART}:
            try:
                field = (await request.post()).get(CSRF_FIELD)
            except (ValueError, LookupError, RuntimeError, AssertionError, HttpProcessingError, web.RequestPayloadError):
                raise malformed("The body is not a valid form") from None
            token = field if isinstance(field, str) else None
        return token is not None and self._vault.verify(CSRF_PURPOSE, login.claims.id, token)

    def comes_from_our_pages(self, request: web.Request) -> bool:
        """A browser says so: by `Sec-Fetch-Site`, which no page can forge, or by an `Origin` that is ours."""
        headers = request.headers
        if "Sec-Fetch-Site" in headers:
            return {"same-origin", "none"}.issuperset(headers.getall("Sec-Fetch-Site"))
        origins = headers.getall("Origin", [])
        ours = {origin_of(f"{request.scheme}://{request.headers.get('Host', '')}"), self._public_origin} - {None}
        return bool(origins) and all(origin_of(origin) in ours for origin in origins)

    def csrf_token(self, login: Login) -> str:
        """What forms of this login carry."""
        return self._vault.sign(CSRF_PURPOSE, login.claims.id)


def _caller(account: Account, login: Login | None = None) -> Caller:
    kind = CallerKind.SUPERUSER if account.is_superuser else CallerKind.USER
    return Caller(kind=kind, account_id=account.id, address="", account=account, login=login)
