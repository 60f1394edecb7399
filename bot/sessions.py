"""`/sessions`: an account's own download sessions, to delete; unclaimed ones that name it, to claim."""

from __future__ import annotations

from uuid import UUID

from telegram import CallbackQuery, InlineKeyboardButton, Message

from bot.cards import View
from bot.forget import Vault
from bot.identity import Visit
from bot.keys import Key, button, keyboard, rows
from bot.outbox import Outbox
from bot.texts import Texts
from bot.turning import turn
from bot.wording import escaped
from service.download_sessions import DownloadSessions, Unowned
from service.errors import CardGone
from service.model import DownloadSession
from service.own_sessions import OwnSession, OwnSessions

KIND = "sessions"
A_PAGE = 6
LETTERS = "ABCDEF"
"""What unclaimed ones are called in the list: the next come when these are claimed."""
_DIGITS = 9


class SessionsPage:
    """Buttons name a session by its folder: the id of some is a credential."""

    def __init__(self, *, sessions: DownloadSessions, own: OwnSessions, vault: Vault, outbox: Outbox) -> None:
        self._sessions, self._own, self._vault, self._outbox = sessions, own, vault, outbox

    async def show(self, message: Message, visit: Visit) -> None:
        del message
        view = await self._view(visit, 0)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        """Another page (`sessions|6|page`), or one session (`sessions|FOLDER|claim`). Raises `DownloadSessionNotFound`."""
        if key.verb == "page" and key.id.isascii() and key.id.isdigit() and len(key.id) <= _DIGITS:
            await turn(self._outbox, query, visit, await self._view(visit, int(key.id)))
            return None
        folder, account = _folder(key.id), visit.member.account
        match key.verb:
            case "claim":
                await self._sessions.claim(visit.actor, account, folder)
                await turn(self._outbox, query, visit, await self._view(visit, 0))
                return visit.texts.claimed
            case "ask":
                await turn(self._outbox, query, visit, _question(await self._own.get(account.id, folder), visit.texts))
                return None
            case "delete":
                await self._vault.empty(await self._own.in_vaults(account.id, folder))
                await self._own.delete(account.id, folder)
                await turn(self._outbox, query, visit, await self._view(visit, 0))
                return visit.texts.sessions_deleted
            case _:
                raise CardGone

    async def _view(self, visit: Visit, skip: int) -> View:
        texts = visit.texts
        own, count = await self._own.page(visit.member.account.id, skip=skip, limit=A_PAGE)
        if not own and skip:  # deleted meanwhile
            skip = 0
            own, count = await self._own.page(visit.member.account.id, skip=skip, limit=A_PAGE)
        numbered = list(enumerate(own, skip + 1))
        lines = [texts.sessions_title, *(f"{number}. {_line(one, texts)}" for number, one in numbered)]
        if own:
            lines.append(texts.page.format(first=skip + 1, last=skip + len(own), count=count))
        else:
            lines.append(texts.sessions_empty)
        delete = [button(f"🗑 {number}", Key(KIND, one.session.folder.hex, "ask")) for number, one in numbered]
        others, claims = await unclaimed(self._sessions, visit)
        if others:
            lines += ["", texts.sessions_unclaimed_all if visit.actor.is_superuser else texts.sessions_unclaimed, *others]
        return View("\n".join(lines), keyboard(*rows(delete), _turns(skip, len(own), count, texts), *rows(claims, 2)))


async def unclaimed(sessions: DownloadSessions, visit: Visit) -> tuple[list[str], list[InlineKeyboardButton]]:
    """Those that name the account (for a superuser: all), newest first, and what claims them."""
    found, _ = await sessions.unowned(visit.actor, limit=len(LETTERS))
    lettered = list(zip(LETTERS, found, strict=False))
    lines = [f"{letter}. {_unclaimed_line(one, visit.texts)}" for letter, one in lettered]
    return lines, [_claim(letter, one.session, visit.texts) for letter, one in lettered]


def _claim(letter: str, session: DownloadSession, texts: Texts) -> InlineKeyboardButton:
    return button(texts.claim.format(number=letter), Key(KIND, session.folder.hex, "claim"))


def _turns(skip: int, shown: int, count: int, texts: Texts) -> list[InlineKeyboardButton]:
    turns = []
    if skip > 0:
        turns.append(button(texts.newer, Key(KIND, str(max(0, skip - A_PAGE)), "page")))
    if skip + shown < count:
        turns.append(button(texts.older, Key(KIND, str(skip + A_PAGE), "page")))
    return turns


def _line(one: OwnSession, texts: Texts) -> str:
    title = escaped(one.title, 60) if one.title else texts.sessions_untitled
    return texts.sessions_line.format(title=title, jobs=one.jobs, date=f"{one.session.last_activity:%d.%m.}")


def _unclaimed_line(one: Unowned, texts: Texts) -> str:
    title = escaped(one.title, 60) if one.title else texts.sessions_untitled
    return texts.sessions_line.format(title=title, jobs=one.jobs, date=f"{one.session.created_at:%d.%m.}")


def _question(one: OwnSession, texts: Texts) -> View:
    title = escaped(one.title, 60) if one.title else texts.sessions_untitled
    buttons = [
        button(texts.sessions_delete_yes, Key(KIND, one.session.folder.hex, "delete")),
        button(texts.sessions_delete_no, Key(KIND, "0", "page")),
    ]
    return View(texts.sessions_delete_ask.format(title=title, jobs=one.jobs, files=one.files), keyboard(buttons))


def _folder(text: str) -> UUID:
    try:
        return UUID(hex=text)
    except ValueError:
        raise CardGone from None
