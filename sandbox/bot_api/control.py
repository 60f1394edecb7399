"""The people of the sandbox over HTTP, for a server in its own process.

Under `/_sandbox/`, JSON in and out; a wrong request is answered with 400 and `{"error": TEXT}`:

- POST `user`, `group`, `channel`: who is there (`id` and the arguments of `BotApi.user`, `.group`, `.channel`)
- POST `says`, `sends`, `sends_album`, `forwards`, `forwards_post`, `presses`, `reacts`, `blocks_bot`, `unblocks_bot`, `deletes`,
  `opens_link`, `edits` with `{"user": ID, ...}`; `posts` with `{"channel": ID, ...}`; `topic`, `says_as_anonymous`, `says_as_channel`,
  `auto_forwards`, `adds_bot`, `removes_bot`, `appoints` with `{"group": ID, ...}`: the arguments of the methods of those names.
  Bytes are `{"path": PATH}` on this machine or `{"base64": TEXT}`
- POST `fail_next`, `hang_next`, `cut_next`, `hold`, `release`, `clear_faults`
- GET `messages?chat=ID`, `sent?chat=ID`, `calls?method=NAME`, `refusals`, `answers`, `reactions`, `texts`, `state`,
  `file?id=FILE_ID` its bytes, `wait?after=N&seconds=S` until more than N changes have been
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.bot_api.people import Item, User
from sandbox.bot_api.places import Channel, Group
from sandbox.bot_api.values import Json

if TYPE_CHECKING:
    from sandbox.bot_api.api import BotApi

_OF_USERS = frozenset(
    [
        "says",
        "sends",
        "sends_album",
        "forwards",
        "forwards_post",
        "presses",
        "reacts",
        "blocks_bot",
        "unblocks_bot",
        "deletes",
        "opens_link",
        "edits",
    ]
)
_OF_GROUPS = frozenset(["topic", "says_as_anonymous", "says_as_channel", "auto_forwards", "adds_bot", "removes_bot", "appoints"])
_OF_CHANNELS = frozenset({"posts", "edits"})
_OF_SCRIPT = frozenset(["fail_next", "hang_next", "cut_next", "hold", "release", "clear_faults"])
_LONGEST_WAIT = 60.0


class Control:
    """Routes that drive one `BotApi`."""

    def __init__(self, api: BotApi) -> None:
        self._api = api
        self._users: dict[int, User] = {}
        self._groups: dict[int, Group] = {}
        self._channels: dict[int, Channel] = {}

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/_sandbox/{act}", self._act), web.get("/_sandbox/{what}", self._look)]

    async def _act(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":  # a page of another site cannot send this unasked
            return _wrong("the body must be application/json")
        try:
            given = await request.json()
            return web.json_response({"result": await self._do(request.match_info["act"], given)})
        except (TypeError, ValueError, LookupError, OSError) as error:
            return _wrong(f"{type(error).__name__}: {error}")

    async def _do(self, act: str, given: Json) -> Any:
        if act in {"user", "group", "channel"}:
            return self._introduce(act, given)
        if act in _OF_SCRIPT:
            getattr(self._api, act)(**given)
            return None
        if "channel" in given and act in _OF_CHANNELS and "user" not in given:
            who: Any = self._channel(given.pop("channel"))
        elif "group" in given and act in _OF_GROUPS:
            who = self._group(given.pop("group"))
        elif "user" in given and act in _OF_USERS:
            who = self._user(given.pop("user"))
        else:
            raise LookupError(f"nobody can do {act} with {sorted(given)}")
        positional = given.pop("emoji", []) if act == "reacts" else []
        doing: Callable[..., Awaitable[Any]] = getattr(who, act)
        if "message" in given and positional:
            return await doing(given.pop("message"), *positional, **self._read(given))
        return await doing(**self._read(given))

    def _introduce(self, act: str, given: Json) -> Json:
        if act == "user":
            user = self._users[given["id"]] = self._api.user(**given)
            return user.about
        if act == "group":
            group = self._groups[given["id"]] = self._api.group(**given)
            return group.about
        channel = self._channels[given["id"]] = self._api.channel(**given)
        return channel.about

    def _user(self, number: int) -> User:
        """The user as introduced, over a restart too; somebody new is made up."""
        if number not in self._users:
            known = self._api.scene.world.users.get(number, {"id": number})
            self._users[number] = self._api.user(**{name: value for name, value in known.items() if name != "is_bot"})
        return self._users[number]

    def _group(self, number: int) -> Group:
        return self._groups.get(number) or self._api.group(number)

    def _channel(self, number: int) -> Channel:
        return self._channels.get(number) or self._api.channel(number)

    def _read(self, given: Json) -> Json:
        """Arguments as the methods take them: channels by their ids, bytes from where they are."""
        read = dict(given)
        if isinstance(read.get("channel"), int):
            read["channel"] = self._channel(read["channel"])
        if "content" in read:
            read["content"] = _content(read["content"])
        if "items" in read:
            read["items"] = [Item(**{**item, "content": _content(item["content"])}) for item in read["items"]]
        return read

    async def _look(self, request: web.Request) -> web.StreamResponse:
        api, query = self._api, request.query
        try:
            if request.match_info["what"] == "file":
                return web.FileResponse(api.file_path(query["id"]), headers={"Content-Type": "application/octet-stream"})
            if request.match_info["what"] == "wait":
                await self._wait(int(query["after"]), min(float(query.get("seconds", _LONGEST_WAIT)), _LONGEST_WAIT))
                return web.json_response({"result": api.scene.events.changes})
            looks: dict[str, Callable[[], Any]] = {
                "messages": lambda: api.messages(int(query["chat"])),
                "sent": lambda: api.sent(int(query["chat"])),
                "calls": lambda: [asdict(call) for call in api.calls if query.get("method") in {None, call.method}],
                "refusals": lambda: [asdict(refusal) for refusal in api.refusals],
                "answers": lambda: api.answers,
                "reactions": lambda: [[*where, emoji] for where, emoji in api.reactions.items()],
                "texts": api.texts,
                "state": self._state,
            }
            return web.json_response({"result": looks[request.match_info["what"]]()})
        except (ValueError, LookupError) as error:
            return _wrong(f"{type(error).__name__}: {error}")

    async def _wait(self, after: int, seconds: float) -> None:
        events = self._api.scene.events
        try:
            await events.until(lambda: events.changes > after, seconds)
        except TimeoutError:
            return

    def _state(self) -> Json:
        api = self._api
        return {
            "changes": api.scene.events.changes,
            "bot": api.scene.world.me,
            "chats": [chat.as_row() for chat in api.scene.world.chats.values()],
            "pending_updates": len(api.pending_updates),
            "polling": api.polling,
            "webhook": api.scene.webhook.as_json(),
            "spent_codes": sorted(api.spent_codes),
            "actions": list(api.actions),
            "ignored_thumbnails": [asdict(ignored) for ignored in api.ignored_thumbnails],
        }


def _content(given: Json) -> Path | bytes:
    return Path(given["path"]) if "path" in given else base64.b64decode(given["base64"])


def _wrong(reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=400)
