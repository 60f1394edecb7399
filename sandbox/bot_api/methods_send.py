"""Methods that put new content into a chat."""

from __future__ import annotations

from sandbox.bot_api.arguments import Arguments, Method
from sandbox.bot_api.chat import Chat
from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.formatting import read_caption, read_text
from sandbox.bot_api.outgoing import Outgoing
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import MEDIA_KINDS, Json, present

_WITHOUT_CAPTION = frozenset({"video_note", "sticker"})
_FEWEST_IN_ALBUM, _MOST_IN_ALBUM = 2, 10
_ALBUM_KINDS = frozenset({"photo", "video", "document", "audio"})
_ALONE = ("document", "audio")
"""Kinds that stay among themselves."""


class SendMethods:
    def __init__(self, scene: Scene, outgoing: Outgoing) -> None:
        self._scene, self._outgoing = scene, outgoing

    def methods(self) -> dict[str, Method]:
        media = {f"send{kind.title().replace('_', '')}": self._sender(kind) for kind in MEDIA_KINDS}
        return {"sendMessage": self.send_message, "sendMediaGroup": self.send_media_group, **media}

    def send_message(self, arguments: Arguments) -> Json:
        chat = self._outgoing.destination(arguments)
        text = read_text(arguments)
        preview = present({"link_preview_options": arguments.object("link_preview_options")})
        return self._outgoing.post(chat, arguments, text.fields("text") | preview)

    def send_media_group(self, arguments: Arguments) -> list[Json]:
        items = [arguments.item(item) for item in arguments.objects("media")]
        if len(items) > _MOST_IN_ALBUM:
            raise bad_request("too many messages to send as an album")
        if len(items) < _FEWEST_IN_ALBUM:
            raise bad_request("there must be 2-10 messages in an album")
        _check_album([item.text("type") for item in items])
        chat = self._outgoing.destination(arguments, messages=len(items))
        bodies = [self.body(item, item.text("type"), "media") for item in items]
        group = {"media_group_id": f"{self._scene.world.next('album'):017d}"}
        return [self._outgoing.post(chat, arguments, body | group) for body in bodies]

    def body(self, arguments: Arguments, kind: str, field: str) -> Json:
        """A medium with its caption, as fields of a message. Raises `Refused`."""
        caption = {} if kind in _WITHOUT_CAPTION else read_caption(arguments).fields("caption")
        stored = self._scene.media.read(arguments, kind=kind, field=field)
        spoiler, above = arguments.flag("has_spoiler"), arguments.flag("show_caption_above_media")
        return self._scene.files.fields(stored) | caption | present({"has_media_spoiler": spoiler, "show_caption_above_media": above})

    def _sender(self, kind: str) -> Method:
        def send(arguments: Arguments) -> Json:
            chat: Chat = self._outgoing.destination(arguments)
            return self._outgoing.post(chat, arguments, self.body(arguments, kind, kind))

        return send


def _check_album(kinds: list[str]) -> None:
    for kind in kinds:
        if kind not in _ALBUM_KINDS:
            raise bad_request("can't use the media of the specified type in the album")
    for kind in _ALONE:
        if kind in kinds and set(kinds) != {kind}:
            raise bad_request(f"{kind} can't be mixed with other media types")
