"""How a message of the bot comes into a chat."""

from __future__ import annotations

from sandbox.bot_api.arguments import Arguments
from sandbox.bot_api.chat import BLOCKED, NEVER_STARTED, Chat, Entry
from sandbox.bot_api.errors import bad_request, forbidden
from sandbox.bot_api.markup import check_markup
from sandbox.bot_api.origins import origin_of
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import Json, present


class Outgoing:
    """Checks that the bot may write there, and writes."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def destination(self, arguments: Arguments, *, messages: int = 1) -> Chat:
        """The chat of the request, which is paced for so many messages. Raises `Refused`."""
        chat = self._scene.world.chat(arguments.given.get("chat_id"))
        self.reach(chat)
        if chat.is_channel and chat.bot not in {"administrator", "creator"}:
            raise bad_request("need administrator rights in the channel chat")
        self._scene.pace.check(chat.id, group=not chat.is_private, messages=messages)
        return chat

    def reach(self, chat: Chat) -> None:
        """Raises `Refused` where the bot has no access."""
        if chat.is_private:
            if chat.bot == BLOCKED:
                raise forbidden("bot was blocked by the user")
            if chat.bot == NEVER_STARTED:
                raise forbidden("bot can't initiate conversation with a user")
        elif chat.bot == "kicked":
            raise forbidden(f"bot was kicked from the {chat.kind} chat")
        elif not chat.bot_is_in:
            raise forbidden(f"bot is not a member of the {chat.kind} chat")

    def own(self, arguments: Arguments) -> tuple[Chat, Entry]:
        """The bot's own message that the request is about, paced as an edit. Raises `Refused`."""
        if arguments.has("inline_message_id"):
            raise bad_request("MESSAGE_ID_INVALID")
        chat = self.destination(arguments)
        entry = chat.entries.get(arguments.whole("message_id") or 0)
        if entry is None:
            raise bad_request("message to edit not found")
        if entry.author != self._scene.world.my_id or "forward_origin" in entry.message:
            raise bad_request("message can't be edited")
        return chat, entry

    def post(self, chat: Chat, arguments: Arguments, body: Json) -> Json:
        """Put a message of the bot there. Raises `Refused`."""
        markup = check_markup(arguments.object("reply_markup"))
        reply = self._reply(chat, arguments)
        me = self._scene.world.me
        sender = {"sender_chat": chat.about} if chat.is_channel else {"from": self.me_as_user()}
        extra = present({"reply_markup": markup, "has_protected_content": arguments.flag("protect_content")})
        message = self._scene.world.add(chat, sender | self._thread(chat, arguments, reply) | reply | body | extra, author=me["id"])
        self._scene.journal.show_message(message)
        return message

    def me_as_user(self) -> Json:
        """The bot as the sender of a message."""
        me = self._scene.world.me
        return {name: me[name] for name in ("id", "is_bot", "first_name", "username")}

    def _reply(self, chat: Chat, arguments: Arguments) -> Json:
        wanted = arguments.object("reply_parameters")
        if wanted is None:
            number = arguments.whole("reply_to_message_id")
            if number is None:
                return {}
            wanted = {"message_id": number, "allow_sending_without_reply": arguments.flag("allow_sending_without_reply")}
        elsewhere = wanted.get("chat_id")
        target = chat if elsewhere is None else self._scene.world.chat(elsewhere)
        entry = target.entries.get(Arguments(wanted, {}).whole("message_id") or 0)
        if entry is None:
            if wanted.get("allow_sending_without_reply"):
                return {}
            raise bad_request("message to be replied not found")
        quote = {"quote": {"text": wanted["quote"], "position": wanted.get("quote_position", 0)}} if wanted.get("quote") else {}
        if target is not chat:
            origin = {"origin": origin_of(entry.message), "chat": target.about, "message_id": entry.message["message_id"]}
            return {"external_reply": origin, **quote}
        return {"reply_to_message": without_reply(entry.message), **quote}

    def _thread(self, chat: Chat, arguments: Arguments, reply: Json) -> Json:
        number = arguments.whole("message_thread_id")
        if number is None:
            answered = reply.get("reply_to_message", {})
            return {name: answered[name] for name in ("message_thread_id", "is_topic_message") if answered.get("is_topic_message")}
        if chat.topics is None or number not in chat.topics:
            raise bad_request("message thread not found")
        return {"message_thread_id": number, "is_topic_message": True}


def without_reply(message: Json) -> Json:
    """As it stands in a reply to it: Telegram shows one level only."""
    return {name: value for name, value in message.items() if name != "reply_to_message"}
