"""The chat's values: who talks to us, what we show them, and what is on its way to them. All are frozen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from service.descriptions import Description
from service.media_url import MediaUrl
from service.model import Account
from service.selection import Clip, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramUser:
    """A Telegram identity. It belongs to one account."""

    id: int
    account_id: int
    first_name: str
    username: str | None = None
    language_code: str | None = None
    """As Telegram says: an IETF tag."""
    download_session_id: UUID
    """The one in use: where what is asked for in the chat goes."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """An account's own defaults."""

    selection: Selection | None = None
    """What was chosen last; None at first: the best mp4 that Telegram can take."""
    starts_by_itself: bool = True
    language: str | None = None
    """Of the interface; None follows Telegram's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody who may use the bot: the identity, its account, and what they prefer."""

    user: TelegramUser
    account: Account
    preferences: Preferences
    is_admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in Telegram: a chat, maybe a topic of it."""

    chat_id: int
    thread_id: int | None = None

    @property
    def is_group(self) -> bool:
        """Groups and channels have negative ids."""
        return self.chat_id < 0


class CardState(StrEnum):
    """How far a card is. `ordered` follows its job; the last three are final until a button is pressed."""

    LOOKING = "looking"
    OFFERED = "offered"
    ORDERED = "ordered"
    DELIVERED = "delivered"
    FAILED = "failed"
    DISMISSED = "dismissed"

    @property
    def is_open(self) -> bool:
        return self in {CardState.LOOKING, CardState.OFFERED, CardState.ORDERED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One message of ours about one address that somebody sent."""

    id: str
    """Short and not to be guessed: it stands in the buttons' data, of which Telegram takes 64 bytes."""
    bot_id: int
    account_id: int
    asker_id: int | None = None
    """The Telegram identity that asked: its account may have several."""
    place: Place
    request_id: int | None
    """The message that asked; None for one made by a button."""
    position: int = 0
    """Of the address within that message."""
    url: MediaUrl
    clip: Clip | None = None
    message_id: int | None = None
    """Our message; None until Telegram has taken it."""
    asks: bool = False
    """Nothing starts by itself, whatever the asker prefers."""
    has_media: bool = False
    """Our message is a picture or a file with a caption, not a text."""
    state: CardState = CardState.LOOKING
    description: Description | None = None
    starts_at: datetime | None = None
    """When the default starts by itself."""
    job_id: UUID | None = None
    error_code: str | None = None
    range_from: int = 1
    range_to: int | None = None
    """Of a list: which items are taken, counted from 1; None is the last one."""
    created_at: datetime

    def described(self, description: Description, starts_at: datetime | None) -> Card:
        return replace(self, state=CardState.OFFERED, description=description, starts_at=starts_at)

    def failed(self, code: str) -> Card:
        return replace(self, state=CardState.FAILED, error_code=code, starts_at=None)

    def ordered(self, job_id: UUID) -> Card:
        return replace(self, state=CardState.ORDERED, job_id=job_id, starts_at=None, error_code=None)

    def waits_for_a_choice(self) -> Card:
        return replace(self, state=CardState.OFFERED, starts_at=None)

    def looks_again(self) -> Card:
        return replace(self, state=CardState.LOOKING, error_code=None, job_id=None)

    def ended(self, state: CardState) -> Card:
        return replace(self, state=state, starts_at=None)


class DeliveryState(StrEnum):
    """How far a file is on its way to the chat."""

    WAITING = "waiting"
    SENDING = "sending"
    """The call to Telegram is about to be made, or was: nobody knows until it is committed."""
    ANNOUNCING = "announcing"
    """The card is the file by now; a message that notifies is on its way."""
    DELIVERED = "delivered"
    UNSURE = "unsure"
    """The service died twice in the middle of it: the file may be there already."""
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        return self in {DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.ANNOUNCING}


MAX_TRIES = 2
"""How often a file is sent without knowing whether it arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one job left, on its way to one card's chat."""

    id: int | None = None
    card_id: str
    job_id: UUID
    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0
    """How often sending began without being seen to end."""
    parts: int = 0
    """Of an album of several messages: how many of its files have arrived."""
    error_code: str | None = None
    created_at: datetime

    def anew(self) -> Delivery:
        """As if nothing had been tried: somebody asked for it."""
        return replace(self, state=DeliveryState.WAITING, tries=0, error_code=None)

    def begun(self) -> Delivery:
        return replace(self, state=DeliveryState.SENDING, tries=self.tries + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramCopy:
    """Stored media as Telegram has it: by `file_id` for one bot, and in the vault chat for every bot that is in it."""

    media_file_id: int
    bot_id: int
    kind: str
    """As what it was sent: video, audio, document, animation or photo. It cannot be sent as another."""
    file_id: str
    vault_chat_id: int | None = None
    vault_message_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedUpdate:
    """What Telegram told us, word for word."""

    bot_id: int
    update_id: int
    body: str
    received_at: datetime


START_DELAY = timedelta(seconds=8)
"""How long a card waits before the default starts by itself."""
