"""Who sent an update, where, and whether they may use the bot."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from telegram import Message, Update

from bot.languages import for_language
from bot.texts import Texts
from service.audit import Actor
from service.chat import Member, Place
from service.errors import Blocked, NotInvited
from service.members import Members, Person

PSEUDO_USERS = frozenset({1087968824, 136817688, 777000})
"""Anonymous group administrators, those who write as a channel, and Telegram itself: shared by everybody."""

_SAY_AGAIN_SECONDS = 3600.0
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One update of somebody who may use the bot."""

    member: Member
    texts: Texts
    place: Place
    message_id: int | None
    is_greeted: bool = False
    """The message has its 👀 already."""

    @property
    def is_group(self) -> bool:
        return self.place.is_group

    @property
    def actor(self) -> Actor:
        """With the account's own rights: whom the settings name an administrator has `/users` and `/stats`, and no more."""
        return Actor(account_id=self.member.account.id, is_superuser=self.member.account.is_superuser)


def person_of(update: Update) -> Person | None:
    """None for bots, for whoever hides behind a group or channel, and where nobody is named."""
    user, message = update.effective_user, update.message
    if user is None or user.is_bot or user.id in PSEUDO_USERS or (message is not None and message.sender_chat is not None):
        return None
    return Person(id=user.id, first_name=user.first_name, username=user.username, language_code=user.language_code)


def place_of(message: Message) -> Place:
    return Place(chat_id=message.chat_id, thread_id=message.message_thread_id if message.is_topic_message else None)


def texts_for(member: Member) -> Texts:
    return for_language(member.preferences.language or member.user.language_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway:
    """Somebody who may not use the bot. `line` is what to tell them; None for silence."""

    line: str | None


class Gate:
    """Lets members in, and turns others away with one polite line in private, silence in groups."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._told: OrderedDict[int, float] = OrderedDict()

    async def visit(self, update: Update) -> Visit | TurnedAway:
        person = person_of(update)
        query = update.callback_query
        message = query.message if query else update.message
        if person is None or message is None:
            return TurnedAway(line=None)
        place = place_of(message) if isinstance(message, Message) else Place(chat_id=message.chat.id)
        try:
            member = await self._members.welcome(person, place)
        except NotInvited:
            return TurnedAway(line=self._once(person, place, for_language(person.language_code).stranger.format(id=person.id)))
        except Blocked:
            return TurnedAway(line=self._once(person, place, for_language(person.language_code).blocked))
        return Visit(member=member, texts=texts_for(member), place=place, message_id=message.message_id)

    def surely_admits(self, update: Update, message: Message) -> bool:
        """Whether somebody may be greeted before the database is asked about them."""
        person = person_of(update)
        return person is not None and self._members.surely_admits(person, place_of(message))

    def _once(self, person: Person, place: Place, line: str) -> str | None:
        """The line, unless they were told within the hour."""
        now = time.monotonic()
        last = self._told.get(person.id)
        if place.is_group or (last is not None and now - last < _SAY_AGAIN_SECONDS):
            return None
        self._told[person.id] = now
        self._told.move_to_end(person.id)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return line
