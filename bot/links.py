"""`/link ADDRESS` and `/links`: what is watched, looked at now, paused, deleted; and the question how much of a large channel is wanted."""

from __future__ import annotations

from datetime import datetime

from telegram import CallbackQuery, InlineKeyboardButton, Message

from bot import wording
from bot.cards import View
from bot.identity import Visit
from bot.keys import Key, button, keyboard, rows
from bot.outbox import Outbox
from bot.presses import Presses
from bot.problems import notice_of
from bot.texts import Texts
from bot.turning import turn
from service.errors import CardGone, MagpieError, SameLink
from service.links import Links, LinkView
from service.media_url import MediaUrl
from service.paging import Window
from service.selection import MediaType, Selection
from service.watched import MOST_ITEMS, Link, LinkState, LinkType, Telling, first_name

KIND = "links"
A_PAGE = 6
FEW = (5, 20, 50)
_GALLERIES = {"pixiv.net": LinkType.PIXIV_USER}
_AS = {"video": MediaType.VIDEO, "audio": MediaType.AUDIO}
_SIGNS = {LinkState.ASKS: "❓", LinkState.PAUSED: "⚠️", LinkState.BROKEN: "⚠️"}
_DIGITS = 18
"""What fits into the database's integers."""


class LinksPage:
    """Theirs alone: every use case is asked with the account's own rights."""

    def __init__(self, *, links: Links, outbox: Outbox) -> None:
        self._links, self._outbox = links, outbox
        self._presses = Presses()

    async def show(self, message: Message, visit: Visit) -> None:
        del message
        view = await self._list(visit, 0)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard)

    async def add(self, visit: Visit, url: MediaUrl) -> None:
        """`/link ADDRESS`."""
        try:
            link = await self.watch(visit, url)
        except SameLink:
            await self._outbox.say(visit.place, visit.texts.watched_already)
        except MagpieError as refused:
            await self._outbox.say(visit.place, notice_of(refused, visit.texts))
        else:
            open_it = button(visit.texts.links_pause, Key(KIND, str(link.id), "off"))
            said = visit.texts.watching.format(name=wording.escaped(link.name, 60))
            await self._outbox.say(visit.place, said, keyboard=keyboard([open_it]))

    async def watch(self, visit: Visit, url: MediaUrl, name: str | None = None) -> Link:
        """Raises what `Links.add` raises."""
        preferred = visit.member.preferences.selection
        kind = next((kind for site, kind in _GALLERIES.items() if url.is_on(frozenset({site}))), LinkType.YOUTUBE_CHANNEL)
        fields: dict[str, object] = {"type": kind, "name": (name or first_name(url))[:200]}
        if not kind.is_gallery:
            is_usual = preferred is not None and preferred.media_type in {MediaType.VIDEO, MediaType.AUDIO}
            fields["selection"] = preferred if is_usual else Selection.of()
        return (await self._links.add(visit.actor, visit.member.account.id, url, fields)).link

    async def pressed(self, query: CallbackQuery, visit: Visit, key: Key) -> str | None:
        """Another page (`links|6|page`), or one link (`links|17|now`). Raises `LinkNotFound`."""
        if not (key.id.isascii() and key.id.isdigit() and len(key.id) <= _DIGITS):
            raise CardGone
        number, texts, said = int(key.id), visit.texts, None
        match key.verb:
            case "page":
                await turn(self._outbox, query, visit, await self._list(visit, number))
            case "open":
                await self._turn_to(query, visit, number)
            case "now":
                self._presses.once(f"{visit.member.account.id}:{number}")
                await self._links.trigger(visit.actor, number)
                said = texts.links_looking
            case "on" | "off":
                await self._links.change(visit.actor, number, {"is_enabled": key.verb == "on"})
                await self._turn_to(query, visit, number)
                said = texts.links_resumed if key.verb == "on" else texts.links_paused
            case "ask":
                view = await self._links.get(visit.actor, number)
                await turn(self._outbox, query, visit, _question(view.link, texts))
            case "delete":
                await self._links.remove(visit.actor, number)
                await turn(self._outbox, query, visit, await self._list(visit, 0))
                said = texts.links_deleted
            case "take":
                said = await self._take(query, visit, number, key.argument)
            case "tell" | "as":
                await self._links.change(visit.actor, number, _choice(key))
                await self._turn_to(query, visit, number)
                said = texts.links_told
            case _:
                raise CardGone
        return said

    async def _take(self, query: CallbackQuery, visit: Visit, number: int, argument: str) -> str:
        if not (argument.isascii() and argument.isdigit() and len(argument) <= len(str(MOST_ITEMS))):
            raise CardGone
        await self._links.take(visit.actor, number, int(argument))
        await self._turn_to(query, visit, number)
        return visit.texts.links_taken if int(argument) else visit.texts.links_none_taken

    async def _turn_to(self, query: CallbackQuery, visit: Visit, number: int) -> None:
        await turn(self._outbox, query, visit, _one(await self._links.get(visit.actor, number), visit.texts))

    async def _list(self, visit: Visit, skip: int) -> View:
        texts, account = visit.texts, visit.member.account.id
        page = await self._links.page(account, Window(skip=skip, limit=A_PAGE, count_all=True))
        if not page.entries and skip:  # deleted meanwhile
            return await self._list(visit, 0)
        found, count = page.entries, page.count or 0
        if not found:
            return View(texts.links_empty)
        numbered = list(enumerate(found, skip + 1))
        lines = [texts.links_title, "", *(f"{number}. {_line(view, texts)}" for number, view in numbered)]
        lines += ["", texts.page.format(first=skip + 1, last=skip + len(found), count=count)]
        opens = [button(f"{_sign(view.link)} {number}", Key(KIND, str(view.link.id), "open")) for number, view in numbered]
        return View("\n".join(lines), keyboard(*rows(opens), _turns(skip, len(found), count, texts)))


def _choice(key: Key) -> dict[str, object]:
    """What is chosen of how its owner hears of new items, and of what they are had as. Raises `CardGone`."""
    try:
        if key.verb == "tell":
            return {"telling": Telling(key.argument)}
        return {"selection": Selection.of(_AS[key.argument].value)}
    except (ValueError, KeyError):
        raise CardGone from None


def _choices(link: Link, texts: Texts) -> list[list[InlineKeyboardButton]]:
    number = str(link.id)

    def one(label: str, verb: str, value: str, *, is_on: bool) -> InlineKeyboardButton:
        return button(f"✓ {label}" if is_on else label, Key(KIND, number, verb, value))

    labels = (texts.links_tell_send, texts.links_tell_announce, texts.links_tell_digest, texts.links_tell_nothing)
    telling = [one(label, "tell", how.value, is_on=link.telling is how) for how, label in zip(Telling, labels, strict=True)]
    kinds = [
        one(label, "as", kind, is_on=link.selection.media_type is _AS[kind])
        for kind, label in zip(_AS, (texts.links_as_video, texts.links_as_audio), strict=True)
    ]
    return [telling[:2], telling[2:], *([] if link.type.is_gallery else [kinds])]


def asks(view: LinkView, texts: Texts) -> View:
    """How many of those that are held are wanted."""
    most = min(view.held, MOST_ITEMS)
    few = [count for count in FEW if count < most]
    buttons = [_take(view.link, texts.links_take.format(count=count), count) for count in few]
    ends = [
        _take(view.link, texts.links_take_all.format(count=most), most),
        _take(view.link, texts.links_take_none, 0),
    ]
    text = texts.links_asks.format(count=view.held, name=wording.escaped(view.link.name, 60))
    return View(text, keyboard(*rows(buttons), ends))


def _take(link: Link, label: str, count: int) -> InlineKeyboardButton:
    return button(label, Key(KIND, str(link.id), "take", str(count)))


def _one(view: LinkView, texts: Texts) -> View:
    link = view.link
    lines = [f"{_sign(link)} <b>{wording.escaped(link.name, 100)}</b>", wording.escaped(link.url.shown, 200), ""]
    if link.problem:
        lines.append(texts.links_problem.format(name=wording.escaped(link.name, 60), problem=wording.escaped(link.problem, 200)))
    if link.schedule is None:
        lines.append(texts.links_by_interval)
    else:
        lines.append(texts.links_by_schedule.format(schedule=wording.escaped(link.schedule), timezone=link.timezone))
    lines.append(texts.links_items.format(count=view.items))
    lines.append(texts.links_checked.format(at=_at(link.last_checked_at)) if link.last_checked_at else texts.links_never_checked)
    if link.next_run_at is not None and link.is_enabled:
        lines.append(texts.links_next.format(at=_at(link.next_run_at)))
    if view.held:
        lines.append(texts.links_held.format(count=view.held))
    number = str(link.id)
    turn_it = Key(KIND, number, "off" if link.is_enabled else "on")
    first = [
        button(texts.links_now, Key(KIND, number, "now")),
        button(texts.links_pause if link.is_enabled else texts.links_resume, turn_it),
        button(texts.links_delete, Key(KIND, number, "ask")),
    ]
    held = [[*line] for line in (asks(view, texts).keyboard.inline_keyboard if view.held else ())]  # type: ignore[union-attr] # it has some
    return View("\n".join(lines), keyboard(*held, first, *_choices(link, texts), [button(texts.links_all, Key(KIND, "0", "page"))]))


def _question(link: Link, texts: Texts) -> View:
    buttons = [
        button(texts.links_delete_yes, Key(KIND, str(link.id), "delete")),
        button(texts.links_delete_no, Key(KIND, str(link.id), "open")),
    ]
    return View(texts.links_delete_ask.format(name=wording.escaped(link.name, 100)), keyboard(buttons))


def _line(view: LinkView, texts: Texts) -> str:
    return texts.links_line.format(sign=_sign(view.link), name=wording.escaped(view.link.name, 60), items=view.items)


def _sign(link: Link) -> str:
    return _SIGNS.get(link.state, "👁") if link.is_enabled else "⏸"


def _turns(skip: int, shown: int, count: int, texts: Texts) -> list[InlineKeyboardButton]:
    turns = []
    if skip > 0:
        turns.append(button(texts.newer, Key(KIND, str(max(0, skip - A_PAGE)), "page")))
    if skip + shown < count:
        turns.append(button(texts.older, Key(KIND, str(skip + A_PAGE), "page")))
    return turns


def _at(moment: datetime) -> str:
    return f"{moment:%d.%m. %H:%M}"
