"""Cookies of sites, given by an account for its own downloads: write-only, encrypted, sent only to that site."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.audit import Act, Actor, AuditEntry
from service.errors import CookiesNotFound, InvalidCookies, LimitReached
from service.locking import lock_account
from service.media_url import MediaUrl
from service.ports import Clock, Database, Transaction

MAX_SIZE = 256 * 1024
"""Characters that one site's cookies may have."""
MAX_SITES = 100
_SUFFIX = re.compile(r"(?:ac|co|com|edu|gov|net|org)\.[a-z]{2}", re.ASCII)
"""Names such as `co.uk`, below which everybody has a name of their own: those that can be told without a list."""
_SITE = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NETSCAPE = "# Netscape HTTP Cookie File"
_FIELDS = 7
_SECONDS = re.compile(r"([0-9]{1,12})(?:\.[0-9]*)?", re.ASCII)
_END_OF_TIME = 253_402_300_799
"""The last second of the year 9999, the last one that a date can have."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}", re.ASCII)
_VALUE = re.compile(r"[\x20-\x3a\x3c-\x7e]{0,4096}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCookies:
    """That there are cookies of a site. What they are never comes back."""

    site: str
    created_at: datetime


def checked_site(text: str) -> str:
    """A host name such as `youtube.com`, without `www.`. Raises `InvalidCookies`."""
    site = text.strip().lower().strip(".")
    site = site.removeprefix("www.") if site.count(".") > 1 else site
    if not _SITE.fullmatch(site) or len(site) > 253:  # noqa: PLR2004 - DNS's limit
        raise InvalidCookies("The site is named by its host, such as youtube.com.")
    if _SUFFIX.fullmatch(site):
        raise InvalidCookies(f"{site} is the end of many sites' names; name one of them, such as example.{site}.")
    return site


def netscape(text: str, site: str) -> str:
    """A cookies.txt with only this site's cookies, made of one, or of a JSON object of names and values.

    Cookies of other sites are left out: what is not given for a site is not sent to it. Raises `InvalidCookies`.
    """
    if len(text) > MAX_SIZE:
        raise InvalidCookies(f"Cookies of a site have at most {MAX_SIZE // 1024} KB.")
    lines = _from_json(text, site) if text.lstrip().startswith(("{", "[")) else _from_netscape(text, site)
    if not lines:
        raise InvalidCookies(f"There is no cookie of {site} in this.")
    return "\n".join([_NETSCAPE, *lines, ""])


def _from_json(text: str, site: str) -> list[str]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidCookies from None
    if isinstance(given, list):  # as browsers' extensions export them
        own = [one for one in given if isinstance(one, dict) and _belongs(str(one.get("domain", site)), site)]
        if not all(isinstance(one.get("name"), str) for one in own):
            raise InvalidCookies
        given = {one["name"]: one.get("value") for one in own}
    if not isinstance(given, dict):
        raise InvalidCookies
    expires = str(int(time.time()) + 10 * 365 * 86400)
    return [_line([f".{site}", "TRUE", "/", "TRUE", expires, name, value]) for name, value in given.items()]


def _from_netscape(text: str, site: str) -> list[str]:
    lines = []
    for raw in text.splitlines():
        line = raw.removeprefix("#HttpOnly_")
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != _FIELDS:
            raise InvalidCookies
        if _belongs(fields[0], site):
            lines.append(_line(fields))
    return lines


def _belongs(domain: str, site: str) -> bool:
    host = domain.strip().lower().lstrip(".")
    return host == site or host.endswith(f".{site}")


def _line(fields: Sequence[object]) -> str:
    """One line of a cookies.txt: domain, whether for subdomains, path, whether secure, expiry in seconds, name, value."""
    if not all(isinstance(field, str) for field in fields):
        raise InvalidCookies
    domain, subdomains, path, secure, expires, name, value = (str(field) for field in fields)
    seconds = _SECONDS.fullmatch(expires.strip())
    is_sound = path.startswith("/") and path.isprintable() and _NAME.fullmatch(name) and _VALUE.fullmatch(value)
    if seconds is None or int(seconds[1]) > _END_OF_TIME or not is_sound:
        raise InvalidCookies
    host, is_for_all = domain.strip().lower(), subdomains.upper() == "TRUE" or domain.strip().startswith(".")
    if is_for_all:  # where the dot and the word differ, Python's jar refuses the whole file
        host = f".{host.lstrip('.')}"
    flags = ["TRUE" if flag else "FALSE" for flag in (is_for_all, secure.upper() == "TRUE")]
    return "\t".join((host, flags[0], path, flags[1], seconds[1], name, value))


class CookieJars:
    """An account's own."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def put(self, actor: Actor, account_id: int, site: str, text: str) -> SiteCookies:
        """In place of what there was of the site. Raises `InvalidCookies`, `LimitReached`."""
        site, now = checked_site(site), self._clock.now()
        content = netscape(text, site)
        async with self._database.write() as transaction:
            await lock_account(transaction, account_id)
            known = await transaction.site_cookies.of_account(account_id)
            if len(known) >= MAX_SITES and site not in {one.site for one in known}:
                raise LimitReached(f"Cookies of at most {MAX_SITES} sites are kept; remove some first.")
            await transaction.site_cookies.put(account_id, site, content, now)
            await transaction.audit.add(_entry(now, actor, account_id, Act.COOKIES_STORED, site))
        return SiteCookies(site=site, created_at=now)

    async def of_account(self, account_id: int) -> list[SiteCookies]:
        async with self._database.read() as transaction:
            return await transaction.site_cookies.of_account(account_id)

    async def remove(self, actor: Actor, account_id: int, site: str) -> str:
        """Raises `CookiesNotFound`, `InvalidCookies`."""
        site, now = checked_site(site), self._clock.now()
        async with self._database.write() as transaction:
            if not await transaction.site_cookies.remove(account_id, site):
                raise CookiesNotFound
            await transaction.audit.add(_entry(now, actor, account_id, Act.COOKIES_REMOVED, site))
        return site


async def cookies_for(transaction: Transaction, account_id: int | None, url: MediaUrl) -> str | None:
    """What the account gave for the address's site: for its own downloads alone."""
    if account_id is None:
        return None
    kept = {one.site for one in await transaction.site_cookies.of_account(account_id)}
    site = next((site for site in sites_of(url) if site in kept), None)
    return await transaction.site_cookies.content_of(account_id, site) if site else None


def sites_of(url: MediaUrl) -> list[str]:
    """The sites whose cookies an address would get: its host, and what that is below, down to two labels."""
    labels = url.host.lower().removeprefix("www.").split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def _entry(now: datetime, actor: Actor, account_id: int, act: Act, site: str) -> AuditEntry:
    return AuditEntry(at=now, account_id=actor.account_id, action=act, subject_id=account_id, details=site[:200])
