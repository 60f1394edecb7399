"""`/link`: what this chat is paired with, and joining an account. Nothing is joined before [Join]."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl
from uuid import UUID

from telegram import CallbackQuery

from bot.cards import View
from bot.identity import Visit
from bot.keys import Key, button, keyboard, rows
from bot.outbox import Outbox
from bot.problems import notice_of
from bot.sessions import unclaimed
from bot.texts import Texts
from bot.turning import turn
from bot.wording import escaped
from service.chat import TelegramUser
from service.download_sessions import DownloadSessions
from service.errors import CardGone, CodeInvalid, MagpieError
from service.model import LOCAL_ACCOUNT, Account
from service.pairing import CODE_LENGTH, Moves, Offer, Pairing, is_own, masked

KIND = "pair"
_DEEP_LINK = re.compile(
    r"(?<!\S)(?:(?:https?://)?(?:www\.)?(?:t|telegram)\.me/(?P<name>\w+)/?|tg:(?://)?resolve/?)\?(?P<query>[\w=&-]+)",
    re.ASCII | re.IGNORECASE,
)
_CODE = re.compile(rf"[A-Z0-9]{{{CODE_LENGTH}}}", re.ASCII)


class PairingPage:
    """The question is bound to who asked. A deep link is one tap: it only asks, too."""

    def __init__(self, *, pairing: Pairing, sessions: DownloadSessions, outbox: Outbox) -> None:
        self._pairing, self._sessions, self._outbox = pairing, sessions, outbox

    async def show(self, visit: Visit, argument: str) -> None:
        """`/link`, `/link CODE`, `/link SESSION_ID`."""
        if not argument:
            view = await self._overview(visit)
            await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)
        elif (session_id := _session_in(argument)) is not None:
            await self._claim(visit, session_id)
        else:
            await self.offer(visit, argument)

    async def offer(self, visit: Visit, code: str) -> None:
        """Whose account it is, and what would move."""
        try:
            offer = await self._pairing.offer(visit.member.user, code)
        except MagpieError as refused:
            await self._outbox.say(visit.place, notice_of(refused, visit.texts))
            return
        mine = str(visit.member.user.id)
        buttons = [
            button(visit.texts.link_join, Key(KIND, mine, "yes", plain_code(code))),
            button(visit.texts.link_no, Key(KIND, mine, "no")),
        ]
        await self._outbox.say(visit.place, _question(offer, visit.texts), keyboard=keyboard(buttons))

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> None:
        """[Join] or [No]. Raises what `Pairing.join` raises: then the question stays as it is."""
        if key.id != str(visit.member.user.id) or key.verb not in {"yes", "no"}:
            raise CardGone
        if key.verb == "no":
            said = visit.texts.link_not_joined
        else:
            account = await self._joined(visit, key.argument)
            said = visit.texts.link_joined.format(name=escaped(account.username))
        await turn(self._outbox, query, visit, View(said))

    async def _joined(self, visit: Visit, code: str) -> Account:
        """A press that is handled again, since its answer was lost, finds the code used and the chat paired."""
        try:
            return await self._pairing.join(visit.member.user, code)
        except CodeInvalid:
            account = visit.member.account
            if account.id == LOCAL_ACCOUNT or is_own(visit.member.user, account):
                raise
            return account

    async def _claim(self, visit: Visit, session_id: UUID) -> None:
        try:
            await self._sessions.claim(visit.actor, visit.member.account, session_id)
        except MagpieError as refused:
            await self._outbox.say(visit.place, notice_of(refused, visit.texts))
            return
        await self._outbox.say(visit.place, visit.texts.claimed)

    async def _overview(self, visit: Visit) -> View:
        texts, account, user = visit.texts, visit.member.account, visit.member.user
        lines = [_whose(user, account, texts)]
        others = [other.first_name for other in await self._pairing.of_account(account.id) if other.id != user.id]
        if others:
            lines.append(texts.link_paired_also.format(names=", ".join(escaped(name, 40) for name in others[:10])))
        if is_own(user, account) and not await self._pairing.can_be_left(user, account):
            lines += ["", texts.link_how]
        found, claims = await unclaimed(self._sessions, visit)
        if found:
            lines += ["", texts.link_unclaimed_all if visit.actor.is_superuser else texts.link_unclaimed, *found]
        return View("\n".join(lines), keyboard(*rows(claims, 2)))


def is_code(text: str) -> bool:
    """Whether a deep link's start is meant as a pairing code."""
    return _CODE.fullmatch(plain_code(text)) is not None


def code_in_link(text: str, bot_name: str) -> str | None:
    """The code of a deep link to this bot (`https://t.me/BOT?start=CODE`, with or without what stands before the host; `tg://…`)."""
    for found in _DEEP_LINK.finditer(text):
        asked: dict[str, str] = dict(parse_qsl(found["query"]))
        name = found["name"] or asked.get("domain", "")
        if name.lower() == bot_name.lower() and "start" in asked:
            return asked["start"]
    return None


def plain_code(text: str) -> str:
    """As it fits into a button."""
    return re.sub(r"[\s-]", "", text).upper()


def _session_in(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _whose(user: TelegramUser, account: Account, texts: Texts) -> str:
    if account.id == LOCAL_ACCOUNT:
        return texts.link_local.format(name=escaped(account.username))
    if is_own(user, account):
        return texts.link_own.format(name=escaped(account.username))
    return texts.link_paired.format(name=escaped(account.username), address=_address(account))


def _address(account: Account) -> str:
    shown = masked(account.email)
    return f" ({escaped(shown)})" if shown else ""


def _question(offer: Offer, texts: Texts) -> str:
    account = offer.account
    lines = [
        texts.link_offer.format(name=escaped(account.username), address=_address(account)),
        texts.link_number.format(number=offer.number),
        "",
        *_what_moves(offer.moves, texts),
    ]
    return "\n".join(lines)


def _what_moves(moves: Moves, texts: Texts) -> list[str]:
    if moves.is_nothing:
        return [texts.link_moves_nothing]
    lines = [texts.link_moves.format(history=moves.history, files=moves.files)]
    if moves.cookies:
        lines.append(texts.link_moves_cookies.format(count=moves.cookies))
    if moves.keys:
        lines.append(texts.link_ends_keys.format(count=moves.keys))
    return lines
