"""Methods about the bot itself: who it is, its updates, its commands, its files."""

from __future__ import annotations

import json
import re

from sandbox.bot_api.arguments import Arguments, Method
from sandbox.bot_api.errors import Refused, bad_request
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import Json

_MOST_COMMANDS, _LONGEST_DESCRIPTION = 100, 256
_ABOUT = {"Name": ("name", 64), "Description": ("description", 512), "ShortDescription": ("short_description", 120)}
_ACCEPTED = ("logOut", "close", "setChatMenuButton", "setMyDefaultAdministratorRights", "answerInlineQuery")
_MOST_UPDATES = 100


class BotMethods:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        kept = dict(scene.store.rows("about"))
        self._commands: dict[str, list[Json]] = kept.get("commands", {})
        self._about: dict[str, str] = kept.get("texts", {})

    def methods(self) -> dict[str, Method]:
        return {
            "getMe": lambda _: self._scene.world.me,
            "getUpdates": self.get_updates,
            "setWebhook": self.set_webhook,
            "deleteWebhook": self.delete_webhook,
            "getWebhookInfo": lambda _: self._scene.webhook.as_json(),
            "setMyCommands": self.set_my_commands,
            "getMyCommands": lambda arguments: self._commands.get(_scope(arguments), []),
            "deleteMyCommands": self.delete_my_commands,
            "getFile": self.get_file,
            "getChatMenuButton": lambda _: {"type": "commands"},
            **{f"setMy{what}": self._setter(what) for what in _ABOUT},
            **{f"getMy{what}": self._getter(what) for what in _ABOUT},
            **dict.fromkeys(_ACCEPTED, lambda _: True),
        }

    async def get_updates(self, arguments: Arguments) -> list[Json]:
        updates, limit = self._scene.updates, arguments.whole("limit")
        if self._scene.webhook.url:
            words = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            raise Refused(409, f"Conflict: {words}")
        updates.allow(_kinds(arguments))
        return await updates.poll(
            offset=arguments.whole("offset") or 0,
            limit=_MOST_UPDATES if limit is None else limit,
            seconds=float(arguments.whole("timeout") or 0),
        )

    def set_webhook(self, arguments: Arguments) -> bool:
        if arguments.flag("drop_pending_updates"):
            self._scene.updates.drop_all()
        self._scene.updates.allow(_kinds(arguments))
        self._scene.webhook.set(arguments.text("url"), arguments.text("secret_token"))
        return True

    def delete_webhook(self, arguments: Arguments) -> bool:
        if arguments.flag("drop_pending_updates"):
            self._scene.updates.drop_all()
        self._scene.webhook.set("", "")
        return True

    def set_my_commands(self, arguments: Arguments) -> bool:
        commands = arguments.objects("commands")
        if len(commands) > _MOST_COMMANDS:
            raise bad_request("BOT_COMMANDS_TOO_MUCH")
        for command in commands:
            if not re.fullmatch(r"/?[a-z0-9_]{1,32}", str(command.get("command", ""))):
                raise bad_request("BOT_COMMAND_INVALID")
            if not 0 < len(str(command.get("description", ""))) <= _LONGEST_DESCRIPTION:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        self._commands[_scope(arguments)] = commands
        self._scene.store.put("about", "commands", self._commands)
        self._scene.journal.show(*(str(command["description"]) for command in commands))
        return True

    def delete_my_commands(self, arguments: Arguments) -> bool:
        self._commands.pop(_scope(arguments), None)
        self._scene.store.put("about", "commands", self._commands)
        return True

    def get_file(self, arguments: Arguments) -> Json:
        stored = self._scene.files.find(arguments.text("file_id"))
        if stored is None:
            raise bad_request("invalid file_id")
        if stored.size > self._scene.max_download:
            raise bad_request("file is too big")
        about = {"file_id": arguments.text("file_id"), "file_unique_id": stored.unique, "file_size": stored.size}
        return about | {"file_path": stored.shown_path}

    def _setter(self, what: str) -> Method:
        name, longest = _ABOUT[what]

        def set_text(arguments: Arguments) -> bool:
            text = arguments.text(name)
            if len(text) > longest:
                raise bad_request(f"{name.replace('_', ' ')} is too long")
            self._about[f"{name} {arguments.text('language_code')}"] = text
            self._scene.store.put("about", "texts", self._about)
            self._scene.journal.show(text)
            return True

        return set_text

    def _getter(self, what: str) -> Method:
        name, _ = _ABOUT[what]
        return lambda arguments: {name: self._about.get(f"{name} {arguments.text('language_code')}", "")}


def _kinds(arguments: Arguments) -> list[str] | None:
    return [str(kind) for kind in arguments.listed("allowed_updates")] if arguments.has("allowed_updates") else None


def _scope(arguments: Arguments) -> str:
    return json.dumps([arguments.object("scope") or {"type": "default"}, arguments.text("language_code")], sort_keys=True)
