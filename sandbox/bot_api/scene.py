"""All parts of one sandbox, for those who act on it: the bot's methods and the people."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.bot_api.events import Events
from sandbox.bot_api.files import Files
from sandbox.bot_api.journal import Journal
from sandbox.bot_api.limits import Pace
from sandbox.bot_api.media import Media
from sandbox.bot_api.queries import Queries
from sandbox.bot_api.store import Store
from sandbox.bot_api.updates import Updates
from sandbox.bot_api.webhook import Webhook
from sandbox.bot_api.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`max_download` is in bytes; with `privacy` the bot hears in groups only what is meant for it."""

    world: World
    files: Files
    media: Media
    updates: Updates
    webhook: Webhook
    queries: Queries
    pace: Pace
    journal: Journal
    events: Events
    store: Store
    max_download: int
    privacy: bool
