"""`/api/v1/users/me/…`: what an account has of its own: keys, Telegram identities, preferences, cookies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool
from pydantic_core import PydanticCustomError

from service.accounts import Accounts
from service.chat import Preferences, TelegramUser
from service.cookies import CookieJars, SiteCookies, checked_site
from service.credentials import ApiKey, ApiKeys, Scope
from service.errors import ApiKeyNotFound, CookiesNotFound, InvalidAccount, InvalidCookies, InvalidSelection, LimitReached, NotPaired
from service.model import LOCAL_ACCOUNT, Account
from service.pairing import Pairing
from service.ports import Database
from service.selection import FORMATS, QUALITIES, Selection
from webapi.accounts import BigId
from webapi.auth import Caller
from webapi.contract import ACCOUNTS, OWNERS, Api

ME = "/api/v1/users/me"


# --- API keys ---------------------------------------------------------------------------------------------------------


class KeyView(BaseModel):
    """A key, without its secret."""

    id: int
    name: str
    start: str = Field(description="Its first characters, by which to know it")
    scope: Scope
    created_at: datetime
    last_used_at: datetime | None


class NewKey(BaseModel):
    """`all` may do what the account may, `read` only look, `metrics` only read the service's figures."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scope: Scope = Scope.ALL


class CreatedKey(KeyView):
    """`key` is shown this once."""

    key: str


# --- Telegram ---------------------------------------------------------------------------------------------------------


class TelegramView(BaseModel):
    """A Telegram identity that is paired with the account."""

    telegram_id: int
    first_name: str
    username: str | None
    paired_since: datetime


class PairingView(BaseModel):
    """What to show the bot within `expires_in` seconds; it shows the same `number` before anything is joined."""

    code: str
    link: str | None = Field(description="Opens the bot with the code; null while the bot is not connected")
    number: int
    expires_in: int


# --- preferences and cookies ------------------------------------------------------------------------------------------


def _selections() -> str:
    """Every selection there is, as a pattern; empty is as none. As in the chat, `1080p` is `1080`."""
    qualities = {kind: "|".join(f"{one}p?" if one.isdigit() else one for one in QUALITIES[kind]) for kind in FORMATS}
    kinds = (f"{kind}:(?:{'|'.join(FORMATS[kind])}):(?:{qualities[kind]})" for kind in FORMATS)
    return f"^(?:{'|'.join(kinds)})?$"


def _site(text: str) -> str:
    try:
        return checked_site(text)
    except InvalidCookies as wrong:
        raise PydanticCustomError("site", "{message}", {"message": wrong.message}) from None


_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SUFFIX = r"(?:[aA][cC]|[cC][oO]|[cC][oO][mM]|[nN][eE][tT]|[oO][rR][gG]|[gG][oO][vV]|[eE][dD][uU])\.[A-Za-z]{2}"
_HOST = rf"^(?!{_SUFFIX}$)(?:{_LABEL}\.)+{_LABEL}$"
Site = Annotated[str, Field(json_schema_extra={"maxLength": 253, "pattern": _HOST}), AfterValidator(_site)]


class PreferencesView(BaseModel):
    """An account's defaults in the chat. `selection` is `type:format:quality`; null is the best mp4 that Telegram takes."""

    model_config = ConfigDict(extra="forbid")

    selection: Annotated[str, Field(max_length=100, json_schema_extra={"pattern": _selections()})] | None = None
    starts_by_itself: StrictBool = True
    language: Literal["en", "de"] | None = Field(None, description="null follows Telegram's")


class CookiesView(BaseModel):
    """That there are cookies of a site; what they are never comes back."""

    site: str
    created_at: datetime


class GivenCookies(BaseModel):
    """A cookies.txt (Netscape), or a JSON object of names and values, as text."""

    cookies: Annotated[str, Field(min_length=1, max_length=256 * 1024)]


class RemovedCookies(BaseModel):
    """What was removed."""

    site: str


class OwnEndpoints:
    """Each is about whoever asks. `bot_name` tells the bot's user name, once Telegram has told it."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        keys: ApiKeys,
        pairing: Pairing,
        jars: CookieJars,
        database: Database,
        bot_name: Callable[[], str | None],
        part: Callable[[int, int], Awaitable[None]],
    ) -> None:
        """`part` takes the cards of an account's Telegram identity out of the chat."""
        self._accounts, self._keys, self._pairing, self._jars, self._database = accounts, keys, pairing, jars, database
        self._bot_name, self._part = bot_name, part

    def register(self, api: Api) -> None:
        keys, telegram, cookies = f"{ME}/api-keys", f"{ME}/telegram", f"{ME}/cookies"
        about: dict[str, Any] = {"access": ACCOUNTS, "tags": ["Me"]}
        api.route("GET", f"{keys}/", **about)(self.list_keys)
        api.route("POST", f"{keys}/", **about, status=201, faults=[InvalidAccount, LimitReached])(self.create_key)
        api.route("DELETE", f"{keys}/{{key_id}}", access=OWNERS, tags=["Me"], faults=[ApiKeyNotFound])(self.revoke_key)
        api.route("GET", telegram, **about)(self.list_telegram)
        api.route("POST", telegram, **about, status=201)(self.pairing_code)
        api.route("DELETE", f"{telegram}/{{telegram_id}}", access=OWNERS, tags=["Me"], faults=[NotPaired])(self.unpair)
        api.route("GET", f"{ME}/preferences", **about)(self.get_preferences)
        api.route("PUT", f"{ME}/preferences", **about, faults=[InvalidSelection])(self.put_preferences)
        api.route("GET", f"{cookies}/", **about)(self.list_cookies)
        api.route("PUT", f"{cookies}/{{site}}", **about, faults=[InvalidCookies, LimitReached])(self.put_cookies)
        api.route("DELETE", f"{cookies}/{{site}}", **about, faults=[CookiesNotFound])(self.remove_cookies)

    # --- keys -------------------------------------------------------------------------------------------------------

    async def list_keys(self, caller: Caller) -> list[KeyView]:
        """One's API keys, without their secrets."""
        return [_key(key) for key in await self._keys.of_account(_id(caller))]

    async def create_key(self, caller: Caller, new: NewKey) -> CreatedKey:
        """A new API key. It is shown once."""
        key, secret = await self._keys.create(caller.actor, await self._own(caller), new.name, new.scope)
        return CreatedKey(**_key(key).model_dump(), key=secret)

    async def revoke_key(self, caller: Caller, key_id: BigId) -> KeyView:
        """Make a key void at once."""
        return _key(await self._keys.revoke(caller.actor, _id(caller), key_id))

    # --- Telegram ---------------------------------------------------------------------------------------------------

    async def list_telegram(self, caller: Caller) -> list[TelegramView]:
        """The Telegram identities that are paired with the account."""
        return [_telegram(user) for user in await self._pairing.of_account(_id(caller))]

    async def pairing_code(self, caller: Caller) -> PairingView:
        """A code that joins a Telegram identity to this account: ten minutes, once.

        Tell it to the bot (`/link CODE`), or open the link; the bot asks before anything is joined.
        """
        code = await self._pairing.code_for(await self._own(caller))
        name = self._bot_name()
        link = f"https://t.me/{name}?start={code.code}" if name else None
        return PairingView(code=code.code, link=link, number=code.number, expires_in=round(code.life.total_seconds()))

    async def unpair(self, caller: Caller, telegram_id: BigId) -> TelegramView:
        """Part with a Telegram identity. What was downloaded stays with the account."""
        await self._part(_id(caller), telegram_id)
        return _telegram(await self._pairing.unpair(caller.actor, _id(caller), telegram_id))

    # --- preferences ------------------------------------------------------------------------------------------------

    async def get_preferences(self, caller: Caller) -> PreferencesView:
        """One's own defaults."""
        async with self._database.read() as transaction:
            return _preferences(await transaction.preferences.get(_id(caller)))

    async def put_preferences(self, caller: Caller, wanted: PreferencesView) -> PreferencesView:
        """Set one's own defaults."""
        selection = _selection(wanted.selection) if wanted.selection else None
        preferences = Preferences(selection=selection, starts_by_itself=wanted.starts_by_itself, language=wanted.language)
        async with self._database.write() as transaction:
            await transaction.preferences.put(_id(caller), preferences)
        return _preferences(preferences)

    # --- cookies ----------------------------------------------------------------------------------------------------

    async def list_cookies(self, caller: Caller) -> list[CookiesView]:
        """The sites whose cookies are kept."""
        return [_cookies(one) for one in await self._jars.of_account(_id(caller))]

    async def put_cookies(self, caller: Caller, site: Site, given: GivenCookies) -> CookiesView:
        """Keep a site's cookies, encrypted. They are sent to that site only, by this account's downloads only."""
        return _cookies(await self._jars.put(caller.actor, _id(caller), site, given.cookies))

    async def remove_cookies(self, caller: Caller, site: Site) -> RemovedCookies:
        """Forget a site's cookies."""
        return RemovedCookies(site=await self._jars.remove(caller.actor, _id(caller), site))

    async def _own(self, caller: Caller) -> Account:
        return await self._accounts.get(_id(caller))


def _id(caller: Caller) -> int:
    """Keys and the like that local trust makes belong to the built-in account."""
    return caller.account_id if caller.account_id is not None else LOCAL_ACCOUNT


def _selection(text: str) -> Selection:
    try:
        media_type, form, quality = text.split(":")
    except ValueError:
        raise InvalidSelection("selection", "type:format:quality is accepted, such as video:mp4:720") from None
    return Selection.of(media_type, form, quality)


def _preferences(kept: Preferences) -> PreferencesView:
    language: Literal["en", "de"] | None = kept.language if kept.language in {"en", "de"} else None  # type: ignore[assignment]
    return PreferencesView(
        selection=kept.selection.key if kept.selection else None, starts_by_itself=kept.starts_by_itself, language=language
    )


def _key(key: ApiKey) -> KeyView:
    assert key.id is not None
    return KeyView(id=key.id, name=key.name, start=key.start, scope=key.scope, created_at=key.created_at, last_used_at=key.last_used_at)


def _telegram(user: TelegramUser) -> TelegramView:
    return TelegramView(telegram_id=user.id, first_name=user.first_name, username=user.username, paired_since=user.created_at)


def _cookies(one: SiteCookies) -> CookiesView:
    return CookiesView(site=one.site, created_at=one.created_at)
