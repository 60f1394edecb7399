"""Methods that bring a message from one chat into another."""

from __future__ import annotations

import itertools

from sandbox.bot_api.arguments import Arguments, Method
from sandbox.bot_api.chat import Chat, Entry
from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.formatting import read_caption
from sandbox.bot_api.origins import content_of, origin_of
from sandbox.bot_api.outgoing import Outgoing
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import Json, media_kind, present

_MOST_AT_ONCE = 100
_CAPTION = ("caption", "caption_entities", "show_caption_above_media")


class CopyMethods:
    def __init__(self, scene: Scene, outgoing: Outgoing) -> None:
        self._scene, self._outgoing = scene, outgoing

    def methods(self) -> dict[str, Method]:
        return {
            "forwardMessage": self.forward_message,
            "forwardMessages": self.forward_messages,
            "copyMessage": self.copy_message,
            "copyMessages": self.copy_messages,
        }

    def forward_message(self, arguments: Arguments) -> Json:
        chat, entry = self._one(arguments, "forward")
        return self._forward(chat, arguments, entry.message)

    def copy_message(self, arguments: Arguments) -> Json:
        chat, entry = self._one(arguments, "copy")
        body = content_of(entry.message, self._scene.files)
        if arguments.has("caption") and media_kind(body) is not None:
            above = present({"show_caption_above_media": arguments.flag("show_caption_above_media")})
            body = without_caption(body) | read_caption(arguments).fields("caption") | above
        return {"message_id": self._outgoing.post(chat, arguments, body)["message_id"]}

    def forward_messages(self, arguments: Arguments) -> list[Json]:
        chat, entries = self._several(arguments, "forward")
        albums: dict[str, str] = {}
        sent = [self._forward(chat, arguments, entry.message, self._album(entry, albums)) for entry in entries]
        return [{"message_id": message["message_id"]} for message in sent]

    def copy_messages(self, arguments: Arguments) -> list[Json]:
        chat, entries = self._several(arguments, "copy")
        albums: dict[str, str] = {}
        ids = []
        for entry in entries:
            body = content_of(entry.message, self._scene.files)
            if arguments.flag("remove_caption") and media_kind(body) is not None:
                body = without_caption(body)
            ids.append({"message_id": self._outgoing.post(chat, arguments, body | self._album(entry, albums))["message_id"]})
        return ids

    def _forward(self, chat: Chat, arguments: Arguments, message: Json, album: Json | None = None) -> Json:
        origin = {"forward_origin": origin_of(message)}
        return self._outgoing.post(chat, arguments, content_of(message, self._scene.files) | origin | (album or {}))

    def _album(self, entry: Entry, albums: dict[str, str]) -> Json:
        """What was one album becomes one album again."""
        before = entry.message.get("media_group_id")
        if before is None:
            return {}
        if before not in albums:
            albums[before] = f"{self._scene.world.next('album'):017d}"
        return {"media_group_id": albums[before]}

    def _source(self, arguments: Arguments) -> Chat:
        source = self._scene.world.chat(arguments.given.get("from_chat_id"))
        if not source.is_private:
            self._outgoing.reach(source)
        return source

    def _one(self, arguments: Arguments, doing: str) -> tuple[Chat, Entry]:
        source = self._source(arguments)
        entry = source.entries.get(arguments.whole("message_id") or 0)
        if entry is None:
            raise bad_request(f"message to {doing} not found")
        if not self._may_go_on(entry):
            raise bad_request(f"message can't be {'copied' if doing == 'copy' else 'forwarded'}")
        return self._outgoing.destination(arguments), entry

    def _several(self, arguments: Arguments, doing: str) -> tuple[Chat, list[Entry]]:
        source, numbers = self._source(arguments), arguments.numbers("message_ids")
        if not numbers or len(numbers) > _MOST_AT_ONCE:
            raise bad_request(f"there must be 1-{_MOST_AT_ONCE} messages to {doing}")
        if any(after <= before for before, after in itertools.pairwise(numbers)):
            raise bad_request("message identifiers must be in a strictly increasing order")
        found = [source.entries[number] for number in numbers if number in source.entries]
        entries = [entry for entry in found if self._may_go_on(entry)]
        if not entries:
            raise bad_request(f"there are no messages to {doing}")
        return self._outgoing.destination(arguments, messages=len(entries)), entries

    def _may_go_on(self, entry: Entry) -> bool:
        return not entry.message.get("has_protected_content") and bool(content_of(entry.message, self._scene.files))


def without_caption(body: Json) -> Json:
    return {name: value for name, value in body.items() if name not in _CAPTION}
