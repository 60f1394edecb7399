"""`/web`: a link that signs in to the web pages, once, for people who only chat."""

from __future__ import annotations

from urllib.parse import urlencode

from telegram import Message

from bot.identity import Visit
from bot.outbox import Outbox
from bot.wording import escaped
from service.logins import SIGN_IN_LIFE, Logins


class WebPage:
    """`address` is where people reach the web pages; None where nobody told us. The link is a secret: private chats only."""

    def __init__(self, *, logins: Logins, address: str | None, outbox: Outbox) -> None:
        self._logins, self._address, self._outbox = logins, address, outbox

    async def show(self, message: Message, visit: Visit) -> None:
        del message
        if self._address is None:
            await self._outbox.say(visit.place, visit.texts.web_without_address)
            return
        code = await self._logins.sign_in_code(visit.member.account, visit.member.user.id)
        link = f"{self._address.rstrip('/')}/app/sign-in?{urlencode({'code': code})}"
        minutes = round(SIGN_IN_LIFE.total_seconds() / 60)
        await self._outbox.say(visit.place, visit.texts.web_link.format(minutes=minutes, link=escaped(link, 2000)))
