"""`/cookies`: a site's cookies, given as a file whose message is deleted at once; listed by site, and dropped."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from telegram import CallbackQuery, Message
from telegram.error import BadRequest, InvalidToken, RetryAfter
from telegram.ext import ExtBot

from bot.cards import View
from bot.identity import Visit
from bot.keys import Key, button, keyboard, rows
from bot.languages import LANGUAGES
from bot.outbox import ChatGone, NotAccepted, NotReached, Outbox
from bot.problems import notice_of
from bot.turning import remove_surely, turn
from bot.wording import escaped
from service.cookies import MAX_SIZE, CookieJars, checked_site
from service.errors import CardGone, InvalidCookies, MagpieError

KIND = "cookies"
_CAPTION = re.compile(r"^/cookies(?:@(\w+))?(?:\s+(.*))?$", re.ASCII | re.IGNORECASE | re.DOTALL)
_FILE_NAME = re.compile(r"^(?:www\.)?([a-z0-9.-]+\.[a-z]{2,})_cookies", re.ASCII | re.IGNORECASE)
"""As browsers' extensions name their exports."""
_LABEL = 60


class CookiesPage:
    """What a cookie is never stands in a message or a log of ours."""

    def __init__(self, *, jars: CookieJars, bot: ExtBot[Any], outbox: Outbox) -> None:
        self._jars, self._bot, self._outbox = jars, bot, outbox

    async def show(self, message: Message, visit: Visit, argument: str) -> None:
        """Help, and the list. Cookies that were typed instead of sent as a file are deleted, too."""
        if len(argument.split()) > 1:
            said = await self._deleted(message, visit)
            await self._outbox.say(visit.place, f"{visit.texts.cookies_as_file} {said}")
            return
        view = await self._view(visit)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)

    async def take(self, message: Message, visit: Visit, site: str) -> None:
        """Keep the file's cookies. The message goes first, whatever is in it: Telegram still gives its file afterwards."""
        deleted = await self._deleted(message, visit)
        try:
            kept = await self._kept(message, visit, site)
        except (BadRequest, InvalidToken):  # what the library makes of a 400 and of a file's 404
            said = visit.texts.cookies_not_there
        except RetryAfter as asked:
            raise NotReached from asked  # tried again, like all that Telegram did not take yet
        except MagpieError as refused:
            said = notice_of(refused, visit.texts)
        else:
            said = visit.texts.cookies_stored.format(site=escaped(kept, _LABEL)) if kept else visit.texts.cookies_which_site
        await self._outbox.say(visit.place, f"{said} {deleted}")

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        """Drop a site's (`cookies|DIGEST|drop`). Raises `CookiesNotFound`."""
        account_id = visit.member.account.id
        sites = [one.site for one in await self._jars.of_account(account_id) if _short(one.site) == key.id]
        if key.verb != "drop" or not sites:
            raise CardGone
        await self._jars.remove(visit.actor, account_id, sites[0])
        await turn(self._outbox, query, visit, await self._view(visit))
        return visit.texts.cookies_dropped.format(site=sites[0])

    async def _deleted(self, message: Message, visit: Visit) -> str:
        """What to say of it. `NotReached` comes out: the message is handled again, and goes then."""
        try:
            await remove_surely(self._outbox, visit.place, message.message_id)
        except (NotAccepted, ChatGone):
            return visit.texts.cookies_not_deleted
        return visit.texts.cookies_deleted

    async def _kept(self, message: Message, visit: Visit, site: str) -> str | None:
        """The site; None where nobody said which. Raises `InvalidCookies`, `LimitReached`."""
        document = message.document
        assert document is not None
        named = _FILE_NAME.match(document.file_name or "")
        given = site.strip() or (named[1] if named else "")
        if not given:
            return None
        site = checked_site(given)
        if (document.file_size or 0) > MAX_SIZE * 4:
            raise InvalidCookies
        content = await (await self._bot.get_file(document.file_id, read_timeout=60)).download_as_bytearray(read_timeout=60)
        try:
            text = bytes(content).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidCookies from None
        return (await self._jars.put(visit.actor, visit.member.account.id, site, text)).site

    async def _view(self, visit: Visit) -> View:
        texts = visit.texts
        kept = await self._jars.of_account(visit.member.account.id)
        lines = [f"<b>{texts.cookies_title}</b>", texts.cookies_help]
        if kept:
            lines += ["", texts.cookies_list, *(escaped(one.site, _LABEL) for one in kept)]
        drops = [button(texts.cookies_drop.format(site=one.site[:_LABEL]), Key(KIND, _short(one.site), "drop")) for one in kept]
        return View("\n".join(lines), keyboard(*rows(drops, 2)))


def site_for(message: Message, bot_id: int, bot_name: str) -> str | None:
    """The site that a file of cookies is sent for; empty where it is not said. None for what is no file of cookies.

    That is a document with the caption `/cookies SITE`, or one in answer to our help.
    """
    if message.document is None or message.forward_origin is not None:
        return None
    caption = (message.caption or "").strip()
    command = _CAPTION.match(caption)
    if command is not None:
        is_ours = command[1] is None or command[1].lower() == bot_name.lower()
        return (command[2] or "").strip() if is_ours else None
    return caption if _answers_help(message, bot_id) else None


def _answers_help(message: Message, bot_id: int) -> bool:
    answered = message.reply_to_message
    if answered is None or answered.from_user is None or answered.from_user.id != bot_id:
        return False
    return (answered.text or "").partition("\n")[0] in {texts.cookies_title for texts in LANGUAGES.values()}


def _short(site: str) -> str:
    """A host's name may be longer than a button's data."""
    return hashlib.sha256(site.encode()).hexdigest()[:16]
