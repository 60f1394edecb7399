"""A client for a sandbox Bot API in another process, without asyncio: for tests of whole programs.

It mirrors the user API: `RemoteApi(base).user(1001).says("hello")`. What `BotApi` returns comes back as JSON.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from sandbox.bot_api.values import Json

_WITHIN = 90.0
_Found = TypeVar("_Found")


class RemoteRefused(Exception):
    """The sandbox did not understand what was asked of it."""


class RemoteApi:
    """The sandbox at `base`, which must have been started with control routes."""

    def __init__(self, base: str) -> None:
        self.base = base

    # people and places

    def user(self, id: int, **about: Any) -> RemoteUser:  # noqa: A002 - as in the Bot API
        """As `BotApi.user`."""
        self.post("user", id=id, **about)
        return RemoteUser(self, id)

    def group(self, id: int, title: str = "Group", **about: Any) -> RemoteGroup:  # noqa: A002 - as in the Bot API
        """As `BotApi.group`."""
        self.post("group", id=id, title=title, **about)
        return RemoteGroup(self, id)

    def channel(self, id: int, title: str = "Channel", **about: Any) -> RemoteChannel:  # noqa: A002 - as in the Bot API
        """As `BotApi.channel`."""
        self.post("channel", id=id, title=title, **about)
        return RemoteChannel(self, id)

    # faults

    def fail_next(self, method: str, code: int, description: str, times: int = 1, **more: Any) -> None:
        self.post("fail_next", method=method, code=code, description=description, times=times, **more)

    def hang_next(self, method: str, seconds: float, times: int = 1) -> None:
        self.post("hang_next", method=method, seconds=seconds, times=times)

    def cut_next(self, method: str, *, after_accepting: bool, times: int = 1) -> None:
        self.post("cut_next", method=method, after_accepting=after_accepting, times=times)

    def hold(self, method: str) -> None:
        self.post("hold", method=method)

    def release(self, method: str | None = None) -> None:
        self.post("release", method=method)

    # looking

    def messages(self, chat_id: int) -> list[Json]:
        return list(self.get("messages", chat=chat_id))

    def message(self, chat_id: int, message_id: int) -> Json | None:
        return next((message for message in self.messages(chat_id) if message["message_id"] == message_id), None)

    def sent(self, chat_id: int) -> list[Json]:
        return list(self.get("sent", chat=chat_id))

    def calls(self, method: str | None = None) -> list[Json]:
        return list(self.get("calls", **({} if method is None else {"method": method})))

    def refusals(self) -> list[Json]:
        return list(self.get("refusals"))

    def answers(self) -> dict[str, Json]:
        return dict(self.get("answers"))

    def reactions(self) -> dict[tuple[int, int], list[str]]:
        return {(chat, message): emoji for chat, message, emoji in self.get("reactions")}

    def texts(self) -> list[str]:
        return list(self.get("texts"))

    def spent_codes(self) -> set[str]:
        return set(self.state()["spent_codes"])

    def state(self) -> Json:
        return dict(self.get("state"))

    def file_bytes(self, file_id: str) -> bytes:
        return self._ask(f"file?{urlencode({'id': file_id})}", None)

    def until(self, predicate: Callable[[], _Found], timeout: float = 20) -> _Found:
        """Ask again after every change, until this is true. Raises `TimeoutError`."""
        deadline = time.monotonic() + timeout
        while True:
            changes = self.state()["changes"]
            if found := predicate():
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not within {timeout} s")
            self.get("wait", after=changes, seconds=left)

    def get(self, what: str, **query: Any) -> Any:
        """What the control route of this name shows."""
        return json.loads(self._ask(f"{what}?{urlencode(query)}", None))["result"]

    def post(self, act: str, **given: Any) -> Any:
        """Do what the control route of this name does. Raises `RemoteRefused`."""
        return json.loads(self._ask(act, json.dumps(given).encode()))["result"]

    def _ask(self, route: str, body: bytes | None) -> bytes:
        request = Request(f"{self.base}/_sandbox/{route}", data=body, headers={"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=_WITHIN) as answer:
                read: bytes = answer.read()
                return read
        except HTTPError as error:
            with error:
                raise RemoteRefused(json.loads(error.read()).get("error", str(error))) from None


class _Remote:
    _kind = ""

    def __init__(self, api: RemoteApi, id: int) -> None:  # noqa: A002 - as in the Bot API
        self.api, self.id = api, id

    def act(self, act: str, **given: Any) -> Any:
        """Do this, with the arguments of the method of that name."""
        return self.api.post(act, **{self._kind: self.id}, **{name: value for name, value in given.items() if value is not None})


class RemoteUser(_Remote):
    """As `people.User`; chats and channels are given by their ids."""

    _kind = "user"

    def says(self, text: str, **where: Any) -> Json:
        return dict(self.act("says", text=text, **where))

    def sends(self, kind: str, content: Path | bytes, **more: Any) -> Json:
        return dict(self.act("sends", kind=kind, content=_sendable(content), **more))

    def sends_album(self, items: Sequence[Json], **where: Any) -> list[Json]:
        """`items` are the fields of `people.Item`."""
        return list(self.act("sends_album", items=[{**item, "content": _sendable(item["content"])} for item in items], **where))

    def forwards(self, message: Json, **where: Any) -> Json:
        return dict(self.act("forwards", message=message, **where))

    def forwards_post(self, channel: int, message: Json | None = None, *, content: Path | bytes | None = None, **more: Any) -> Json:
        sendable = None if content is None else _sendable(content)
        return dict(self.act("forwards_post", channel=channel, message=message, content=sendable, **more))

    def presses(self, message: Json | int, button: str | None = None, *, data: str | None = None, chat: int | None = None) -> str:
        """The id of the query."""
        return str(self.act("presses", message=message, button=button, data=data, chat=chat))

    def reacts(self, message: Json | int, *emoji: str, chat: int | None = None) -> None:
        self.act("reacts", message=message, emoji=list(emoji), chat=chat)

    def blocks_bot(self) -> None:
        self.act("blocks_bot")

    def unblocks_bot(self) -> None:
        self.act("unblocks_bot")

    def deletes(self, message: Json | int) -> None:
        self.act("deletes", message=message)

    def edits(self, message: Json | int, text: str) -> Json:
        return dict(self.act("edits", message=message, text=text))

    def opens_link(self, start: str) -> Json:
        return dict(self.act("opens_link", start=start))


class RemoteGroup(_Remote):
    """As `places.Group`."""

    _kind = "group"

    def topic(self, name: str) -> int:
        return int(self.act("topic", name=name))

    def says_as_anonymous(self, text: str, **where: Any) -> Json:
        return dict(self.act("says_as_anonymous", text=text, **where))

    def says_as_channel(self, channel: int, text: str) -> Json:
        return dict(self.act("says_as_channel", channel=channel, text=text))

    def auto_forwards(self, channel: int, post: Json) -> Json:
        return dict(self.act("auto_forwards", channel=channel, post=post))

    def adds_bot(self, status: str = "member") -> None:
        self.act("adds_bot", status=status)

    def removes_bot(self) -> None:
        self.act("removes_bot")


class RemoteChannel(_Remote):
    """As `places.Channel`."""

    _kind = "channel"

    def posts(self, text: str | None = None, *, content: Path | bytes | None = None, **more: Any) -> Json:
        return dict(self.act("posts", text=text, content=None if content is None else _sendable(content), **more))


def _sendable(content: Path | bytes) -> Json:
    return {"path": str(content.resolve())} if isinstance(content, Path) else {"base64": base64.b64encode(content).decode()}
