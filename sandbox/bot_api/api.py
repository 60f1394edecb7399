"""The sandbox Bot API as one object."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from sandbox.bot_api.chat import Chat
from sandbox.bot_api.control import Control
from sandbox.bot_api.events import Events
from sandbox.bot_api.faults import Faults
from sandbox.bot_api.files import Files
from sandbox.bot_api.incoming import Incoming
from sandbox.bot_api.journal import Journal
from sandbox.bot_api.limits import Limits, Pace
from sandbox.bot_api.looking import Looking
from sandbox.bot_api.media import MB, Media
from sandbox.bot_api.people import User, user_json
from sandbox.bot_api.places import Channel, Group
from sandbox.bot_api.queries import Queries
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.script import Script
from sandbox.bot_api.server import Server
from sandbox.bot_api.store import NoStore, SqliteStore
from sandbox.bot_api.updates import Updates
from sandbox.bot_api.values import Json, present
from sandbox.bot_api.webhook import Webhook
from sandbox.bot_api.world import World

TOKEN = "1000000001:sandbox-token"
_STOP_WITHIN = 0.1
_LARGEST_FORM = 4 * MB


class BotApi(Looking, Script):
    """A Bot API server for one bot, with people to talk to it.

    `directory` holds the files, and with `keep` everything else too, over a restart. Sizes are in bytes. With `privacy` the bot hears in
    groups only what is meant for it. With `control` the people can be driven over HTTP as well, under `/_sandbox/`.
    """

    def __init__(
        self,
        *,
        directory: Path,
        token: str = TOKEN,
        username: str = "magpie_bot",
        limits: Limits | None = None,
        max_upload: int = 50 * MB,
        max_download: int = 20 * MB,
        keep: bool = False,
        privacy: bool = False,
        control: bool = False,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.token = token
        me = _bot_json(int(token.partition(":")[0]), username, privacy=privacy)
        limits = limits or Limits.off()
        self._store = SqliteStore(directory / "bot_api.sqlite") if keep else NoStore()
        events = Events()
        world = World(me=me, store=self._store, events=events)  # first: it sorts out what is kept
        files = Files(directory=directory / "files", bot_id=me["id"], store=self._store)
        updates = Updates(store=self._store, events=events)
        scene = Scene(
            world=world,
            files=files,
            media=Media(files=files, max_upload=max_upload),
            updates=updates,
            webhook=Webhook(updates=updates, store=self._store),
            queries=Queries(store=self._store, seconds=limits.query_seconds),
            pace=Pace(limits),
            journal=Journal(store=self._store, events=events),
            events=events,
            store=self._store,
            max_download=max_download,
            privacy=privacy,
        )
        faults = Faults()
        Looking.__init__(self, scene=scene, incoming=Incoming(scene))
        Script.__init__(self, faults)
        self._server = Server(scene=scene, faults=faults, token=token, max_upload=max_upload)
        self._control = Control(self) if control else None
        self._runner: web.AppRunner | None = None
        self._host, self._port = "", 0

    # serving

    @property
    def base(self) -> str:
        """`http://127.0.0.1:PORT`; a bot's `base_url` is this with `/bot` at its end."""
        return f"http://{self._host}:{self._port}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen. Port 0 takes a free one, and after a stop the same again."""
        app = web.Application(client_max_size=_LARGEST_FORM)
        app.add_routes(self._server.routes())
        if self._control is not None:
            app.add_routes(self._control.routes())
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=_STOP_WITHIN)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port or self._port).start()
        self._host, self._port = host, self._runner.addresses[0][1]
        self.scene.webhook.resume()

    async def stop(self) -> None:
        """Stop listening, within half a second. What there is stays, for another start."""
        await self.scene.webhook.stop()
        self.scene.updates.end_polls()
        self._faults.release()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    # people and places

    def user(
        self,
        id: int,  # noqa: A002 - as in the Bot API
        *,
        first_name: str = "User",
        last_name: str | None = None,
        username: str | None = None,
        language_code: str | None = "en",
    ) -> User:
        """The user with this id, who is there from now on under these names."""
        about = user_json(number=id, first_name=first_name, last_name=last_name, username=username, language_code=language_code)
        self.scene.world.add_user(about)
        return User(self.scene, self._incoming, about)

    def group(
        self,
        id: int,  # noqa: A002 - as in the Bot API
        title: str = "Group",
        *,
        topics: bool = False,
        username: str | None = None,
        bot: str = "member",
        kind: str = "supergroup",
    ) -> Group:
        """The group with this (negative) id; one that is there stays as it is. `bot`: member, administrator, left, kicked."""
        forum = {"is_forum": True} if topics else {}
        about = _chat_json(id, kind, title, username) | forum
        return Group(self.scene, self._incoming, self._chat(Chat(about=about, bot=bot, topics={} if topics else None)))

    def channel(
        self,
        id: int,  # noqa: A002 - as in the Bot API
        title: str = "Channel",
        username: str | None = None,
        *,
        bot: str = "left",
    ) -> Channel:
        """The channel with this (negative) id; one that is there stays as it is. The bot is not in it, unless `bot` says otherwise."""
        about = _chat_json(id, "channel", title, username)
        return Channel(self.scene, self._incoming, self._chat(Chat(about=about, bot=bot)))

    def _chat(self, wanted: Chat) -> Chat:
        """The chat with this id as it is, if it is there already."""
        known = self.scene.world.chats.get(wanted.id)
        if known is None:
            self.scene.world.add_chat(wanted)
        return known or wanted


def _chat_json(number: int, kind: str, title: str, username: str | None) -> Json:
    """The Bot API's Chat."""
    return {"id": number, "type": kind, "title": title} | present({"username": username})


def _bot_json(number: int, username: str, *, privacy: bool) -> Json:
    hears = {"can_join_groups": True, "can_read_all_group_messages": not privacy, "supports_inline_queries": False}
    return {"id": number, "is_bot": True, "first_name": "Magpie", "username": username, **hears}
