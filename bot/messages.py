"""Messages: addresses become cards, answers to a list's card choose its range, forwarded posts are kept."""

from __future__ import annotations

import re
from collections import OrderedDict

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Message, MessageEntity, MessageOriginChannel

from bot.addresses import bad_address_in, finds_in
from bot.attendant import Attendant
from bot.identity import Visit
from bot.outbox import Outbox
from bot.posts import PostKeeper, media_of
from bot.wording import escaped
from service.cards import ChatCards, Find, Request
from service.chat import CardState
from service.descriptions import DescriptionKind
from service.errors import InvalidInput

CARDS_A_MESSAGE = 5
"""More addresses than these become one list."""
_RANGE = re.compile(r"^\s*(\d{1,6})\s*(?:[-–—]\s*(\d{1,6}))?\s*$", re.ASCII)
_GROUPS_REMEMBERED = 200


class Messages:
    """What people write, in private chats; in groups only what is meant for the bot."""

    def __init__(self, *, cards: ChatCards, attendant: Attendant, outbox: Outbox, posts: PostKeeper, bot_id: int, bot_name: str) -> None:
        self._cards, self._attendant, self._outbox, self._posts = cards, attendant, outbox, posts
        self._bot_id, self._bot_name = bot_id, bot_name
        self._answered_groups: OrderedDict[str, None] = OrderedDict()

    async def received(self, message: Message, visit: Visit) -> None:
        if visit.is_group:
            await self.in_group(message, visit)
            return
        if isinstance(message.forward_origin, MessageOriginChannel):
            await self._post(message, visit)
            return
        if await self._is_range(message, visit):
            return
        if not await self.take(message, visit, finds_in(message)):
            await self._no_address(message, visit)

    async def in_group(self, message: Message, visit: Visit) -> None:
        """Its addresses, else those of the message that it answers."""
        if await self._is_range(message, visit):
            return
        finds = finds_in(message)
        answered = message.reply_to_message
        if not finds and answered is not None and (answered.from_user is None or answered.from_user.id != self._bot_id):
            finds = finds_in(answered)
        if not await self.take(message, visit, finds):
            await self.point_to_private_chat(message, visit)

    async def point_to_private_chat(self, message: Message, visit: Visit) -> None:
        button = InlineKeyboardButton(visit.texts.go_private_button, url=f"https://t.me/{self._bot_name}")
        await self._outbox.say(visit.place, visit.texts.go_private, keyboard=InlineKeyboardMarkup([[button]]), reply_to=message.message_id)

    async def take(self, message: Message, visit: Visit, finds: list[Find], *, asks: bool = False) -> bool:
        """A card for each address; one for all when they are many. False when there is none."""
        if not finds:
            return False
        if not visit.is_greeted:
            await self._outbox.react(visit.place, message.message_id)
        request = Request(bot_id=self._bot_id, place=visit.place, message_id=message.message_id)
        if len(finds) > CARDS_A_MESSAGE:
            cards = [await self._cards.open_batch(visit.member, request, finds)]
            if len(finds) > self._cards.policy.max_items:
                told = visit.texts.too_many_links.format(taken=self._cards.policy.max_items, count=len(finds))
                await self._outbox.say(visit.place, told, reply_to=message.message_id)
        else:
            cards = await self._cards.open(visit.member, request, finds, asks=asks)
        for card in cards:
            if card.state.is_open:
                self._attendant.attend(card.id)
        return True

    # --- answers to a list ------------------------------------------------------------------------------------------

    async def _is_range(self, message: Message, visit: Visit) -> bool:
        """`3-7` in answer to a list's card."""
        answered, found = message.reply_to_message, _RANGE.match(message.text or "")
        if answered is None or found is None:
            return False
        card = await self._cards.shown_as(self._bot_id, visit.place.chat_id, answered.message_id)
        if card is None or card.account_id != visit.member.account.id or card.state is not CardState.OFFERED:
            return False
        if card.description is None or card.description.kind is not DescriptionKind.LIST:
            return False
        try:
            await self._cards.take(card, int(found[1]), int(found[2] or found[1]))
        except InvalidInput:
            wrong = visit.texts.range_wrong.format(count=len(card.description.items))
            await self._outbox.say(visit.place, wrong, reply_to=message.message_id)
            return True
        await self._outbox.react(visit.place, message.message_id, "👌")
        self._attendant.attend(card.id)
        return True

    # --- posts and the rest -----------------------------------------------------------------------------------------

    async def _post(self, message: Message, visit: Visit) -> None:
        finds = finds_in(message)
        kept = await self._posts.keep(message, visit) if media_of(message) is not None else False
        if not await self.take(message, visit, finds, asks=True) and not kept and self._is_first_of_album(message):
            await self._outbox.say(visit.place, visit.texts.not_for_scraping, reply_to=message.message_id)

    async def _no_address(self, message: Message, visit: Visit) -> None:
        """One answer to an album, silence to what Telegram itself says (a pinned message, a new picture)."""
        if not self._is_first_of_album(message):
            return
        bad = bad_address_in(message)
        if bad is not None:
            text = visit.texts.not_a_link.format(text=escaped(bad, 100))
        elif message.text:
            text = visit.texts.no_link
        elif message.effective_attachment is not None:
            text = visit.texts.not_a_post
        else:
            return
        await self._outbox.say(visit.place, text, reply_to=message.message_id)

    def _is_first_of_album(self, message: Message) -> bool:
        group = message.media_group_id
        if group is None:
            return True
        if group in self._answered_groups:
            return False
        self._answered_groups[group] = None
        if len(self._answered_groups) > _GROUPS_REMEMBERED:
            self._answered_groups.popitem(last=False)
        return True

    def is_meant(self, message: Message) -> bool:
        """Whether it mentions the bot or answers it: in groups the rest is none of its business."""
        answered = message.reply_to_message
        if answered is not None and answered.from_user is not None and answered.from_user.id == self._bot_id:
            return True
        entities = (
            message.parse_entities([MessageEntity.MENTION]) if message.text else message.parse_caption_entities([MessageEntity.MENTION])
        )
        return any(name.lower() == f"@{self._bot_name.lower()}" for name in entities.values())
