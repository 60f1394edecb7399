"""Tells the owners of links what is new: files by cards, everything else by messages. Nothing is told of before it was found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from telegram import ChatMember
from telegram.error import BadRequest, Forbidden, TelegramError
from telegram.ext import ExtBot

from bot import wording
from bot.attendant import Attendant
from bot.cards import View
from bot.identity import texts_for
from bot.links import asks
from bot.outbox import ChatGone, Lost, NotAccepted, NotReached, Outbox
from bot.texts import Texts
from service.cards import ChatCards, Request
from service.chat import Member, Place
from service.errors import JobNotFound
from service.link_news import ASKS, COOKIES, LinkNews, News
from service.links import LinkView
from service.members import Members
from service.watched import ItemState, Link, Telling

log = logging.getLogger("magpie.bot")
SECONDS = 5.0
LAST_WORDS = 3.0
"""Seconds that a stop waits for a message that is on its way."""
NAMED = 15
"""Titles in one message."""


class LinkTeller:
    """One loop a bot. What cannot be told now is told later; who has left the chat is told nothing."""

    def __init__(
        self,
        *,
        news: LinkNews,
        cards: ChatCards,
        attendant: Attendant,
        members: Members,
        outbox: Outbox,
        bot: ExtBot[Any],
        bot_id: int,
    ) -> None:
        self._news, self._cards, self._attendant, self._members = news, cards, attendant, members
        self._outbox, self._bot, self._bot_id = outbox, bot, bot_id

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            try:
                for news in await self._news.pending():
                    await self._whole(news)
            except (NotReached, Lost):
                log.info("Telegram is out of reach: news of links are told later")
            except Exception:
                # The outermost loop: one link must not silence all the others for ever.
                log.exception("news of links could not be told")
            await asyncio.sleep(SECONDS)

    async def _whole(self, news: News) -> None:
        """Also at a stop what Telegram has taken is written down: else it is told again after the next start."""
        telling = asyncio.create_task(self._tell(news))
        try:
            await asyncio.shield(telling)
        except asyncio.CancelledError:
            await asyncio.wait({telling}, timeout=LAST_WORDS)
            telling.cancel()
            raise

    async def _tell(self, news: News) -> None:
        """Raises `NotReached`, `Lost`: then it is told again."""
        member = await self._members.of_account(news.link.account_id)
        if member is None or not member.account.is_there:
            await self._news.told(news)
            return
        own = Place(chat_id=member.user.id)
        await self._or_not(news, self._tell_of_problem(news, own, texts_for(member)))
        await self._or_not(news, self._tell_of_items(news, member))
        await self._news.told(news)

    async def _or_not(self, news: News, telling: Awaitable[None]) -> None:
        """Who has left the chat hears nothing there; what belongs elsewhere is told all the same."""
        try:
            await telling
        except (ChatGone, NotAccepted) as silent:
            log.info("the owner of a link cannot be told: %s", type(silent).__name__, extra={"link": news.link.id})

    async def _tell_of_items(self, news: News, member: Member) -> None:
        if news.runs or news.items:
            place = await self._place_of(news.link, member)
            await self._bring(news, member, place)
            await self._name(news, place, texts_for(member))

    async def _tell_of_problem(self, news: News, place: Place, texts: Texts) -> None:
        name = wording.escaped(news.link.name, 60)
        if news.problem == ASKS:
            view = asks(LinkView(link=news.link, items=news.held, held=news.held), texts)
        elif news.problem == COOKIES:
            view = View(texts.links_cookies.format(name=name))
        elif news.problem is not None:
            view = View(texts.links_problem.format(name=name, problem=wording.escaped(news.link.problem or "", 200)))
        else:
            return
        await self._outbox.say(place, view.text, keyboard=view.keyboard)

    async def _place_of(self, link: Link, member: Member) -> Place:
        """Where its owner wants it, if they may say so there; else their own chat."""
        own = Place(chat_id=member.user.id)
        if link.chat_id is None or link.chat_id == member.user.id:
            return own
        if await self._looks_after(link.chat_id, member.user.id):
            return Place(chat_id=link.chat_id, thread_id=link.thread_id)
        await self._outbox.say(own, texts_for(member).links_no_chat.format(name=wording.escaped(link.name, 60)))
        return own

    async def _looks_after(self, chat_id: int, user_id: int) -> bool:
        """Whoever may only read there must not have a bot write there."""
        try:
            known = await self._bot.get_chat_member(chat_id, user_id)
        except (BadRequest, Forbidden):
            return False
        except TelegramError as broken:
            raise NotReached from broken
        return known.status in {ChatMember.ADMINISTRATOR, ChatMember.OWNER}

    async def _bring(self, news: News, member: Member, place: Place) -> None:
        for run in news.runs:
            request = Request(bot_id=self._bot_id, place=place, message_id=None, cause=f"link:{run}")
            try:
                card = await self._cards.open_for(member, request, news.link.url, run)
            except JobNotFound:
                continue  # deleted meanwhile
            self._attendant.attend(card.id)

    async def _name(self, news: News, place: Place, texts: Texts) -> None:
        if not news.items:
            return
        head = texts.links_digest if news.link.telling is Telling.DIGEST else texts.links_new
        lines = [head.format(name=wording.escaped(news.link.name, 60))]
        lines += [f"· {wording.escaped(item.title or item.item_id, 100)}" for item in news.items[:NAMED]]
        if len(news.items) > NAMED:
            lines.append(texts.links_more.format(count=len(news.items) - NAMED))
        is_to_decide = any(item.state is ItemState.HELD for item in news.items) and not place.is_group
        view = asks(LinkView(link=news.link, items=news.held, held=news.held), texts) if is_to_decide else None
        await self._outbox.say(place, "\n".join(lines), keyboard=view.keyboard if view else None)
