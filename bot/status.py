"""`/status` and `/cancel`: what is under way, and how to stop it."""

from __future__ import annotations

from telegram import CallbackQuery, Message

from bot import wording
from bot.buttons import Buttons
from bot.cards import View
from bot.identity import Visit
from bot.keys import Key, Verb, button, keyboard
from bot.outbox import MessageGone, Outbox
from service.cards import ChatCards
from service.chat import Card, CardState
from service.downloads import Downloads
from service.errors import JobNotFound, NotYours
from service.model import Job, JobStatus

KIND = "status"
SHOWN = 10


class Status:
    """Only the asker's own; in a group, only what was asked for there."""

    def __init__(self, *, cards: ChatCards, downloads: Downloads, outbox: Outbox) -> None:
        self._cards, self._downloads, self._outbox = cards, downloads, outbox

    async def show(self, message: Message, visit: Visit) -> None:
        view = await self._view(visit)
        await self._outbox.say(visit.place, view.text, keyboard=view.keyboard, reply_to=message.message_id if visit.is_group else None)

    async def cancel(self, message: Message, visit: Visit, buttons: Buttons) -> None:
        """In answer to a card, that one; the only one there is; else a list to choose from."""
        cards = await self._open(visit)
        answered = message.reply_to_message
        meant = [card for card in cards if answered is not None and card.message_id == answered.message_id]
        meant = meant or [card for card in cards if _is_under_way(card)] or cards
        if len(meant) == 1:
            text = visit.texts.stopped if await buttons.stop(meant[0]) else visit.texts.nothing_to_stop
            await self._outbox.say(visit.place, text, reply_to=message.message_id)
            return
        await self.show(message, visit)

    async def stop_all(self, query: CallbackQuery, visit: Visit, key: Key, buttons: Buttons) -> str:
        """Bound to who was shown the list. Raises `NotYours`."""
        if key.id != str(visit.member.user.id):
            raise NotYours
        stopped = [card for card in await self._open(visit) if await buttons.stop(card)]
        said = visit.texts.stop_all_done.format(count=len(stopped))
        if query.message is not None:
            try:
                await self._outbox.edit(visit.place, query.message.message_id, said, keyboard=None, is_caption=False)
            except MessageGone:
                return said
        return said

    async def _open(self, visit: Visit) -> list[Card]:
        return await self._cards.open_of(visit.member.account.id, visit.place.chat_id if visit.is_group else None)

    async def _view(self, visit: Visit) -> View:
        cards = [card for card in await self._open(visit) if _is_under_way(card)]
        if not cards:
            return View(visit.texts.status_none)
        lines, buttons = [visit.texts.status_title], []
        for number, card in enumerate(cards[:SHOWN], 1):
            lines.append(f"{number}. {await self._line(card, visit)}")
            buttons.append(button(f"✖ {number}", Key("card", card.id, Verb.CANCEL)))
        if len(cards) > SHOWN:
            lines.append(f"… {len(cards)}")
        every = [button(visit.texts.stop_all, Key(KIND, str(visit.member.user.id), "all"))] if len(cards) > 1 else []
        return View("\n".join(lines), keyboard(buttons[:5], buttons[5:], every))

    async def _line(self, card: Card, visit: Visit) -> str:
        title = wording.escaped(card.description.title if card.description else card.url.host, 60)
        if card.job_id is None:
            return f"{title} · {visit.texts.looking if card.state is CardState.LOOKING else visit.texts.choose}"
        try:
            job = await self._downloads.get(card.job_id)
        except JobNotFound:
            return title
        return f"{title} · {await self._progress(job, visit)}"

    async def _progress(self, job: Job, visit: Visit) -> str:
        texts = visit.texts
        if job.is_list:
            return texts.items_done.format(done=job.progress.downloaded or 0, count=job.progress.total or 0)
        if job.status is JobStatus.PENDING:
            ahead = await self._downloads.ahead_of(job)
            return texts.queued_behind.format(ahead=ahead) if ahead else texts.queued
        if job.status is JobStatus.COMPLETED:
            return texts.uploading
        percent = job.progress.percent
        return f"{texts.downloading} {percent:.0f} %" if percent is not None else texts.downloading


def _is_under_way(card: Card) -> bool:
    """Something is to happen without a button."""
    return card.state is not CardState.OFFERED or card.starts_at is not None
