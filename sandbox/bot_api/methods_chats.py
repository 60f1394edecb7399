"""Methods about chats and who is in them."""

from __future__ import annotations

from sandbox.bot_api.arguments import Arguments, Method
from sandbox.bot_api.chat import Chat
from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.outgoing import Outgoing
from sandbox.bot_api.scene import Scene
from sandbox.bot_api.values import Json

_RIGHTS = (
    "can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members", "can_promote_members", "can_change_info",
    "can_invite_users", "can_post_stories", "can_edit_stories", "can_delete_stories", "can_post_messages", "can_edit_messages",
    "can_pin_messages", "can_manage_topics",
)  # fmt: skip
_GIFTS = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
_TOPIC_COLOUR = 7322096


class ChatMethods:
    def __init__(self, scene: Scene, outgoing: Outgoing) -> None:
        self._scene, self._outgoing = scene, outgoing

    def methods(self) -> dict[str, Method]:
        return {
            "getChat": self.get_chat,
            "getChatMember": self.get_chat_member,
            "getChatAdministrators": self.get_chat_administrators,
            "getChatMemberCount": self.get_chat_member_count,
            "leaveChat": self.leave_chat,
            "createForumTopic": self.create_forum_topic,
            "pinChatMessage": self.pin_chat_message,
            "unpinChatMessage": self.accept_in_chat,
            "unpinAllChatMessages": self.accept_in_chat,
            "getUserProfilePhotos": self.get_user_profile_photos,
        }

    def _chat(self, arguments: Arguments) -> Chat:
        chat = self._scene.world.chat(arguments.given.get("chat_id"))
        if not chat.is_private:
            self._outgoing.reach(chat)
        return chat

    def get_chat(self, arguments: Arguments) -> Json:
        full = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": dict.fromkeys(_GIFTS, True)}
        return self._chat(arguments).about | full

    def get_chat_member(self, arguments: Arguments) -> Json:
        chat, user = self._chat(arguments), arguments.whole("user_id") or 0
        if user not in self._scene.world.users:
            raise bad_request("invalid user_id specified")
        return self._member(chat, user)

    def get_chat_administrators(self, arguments: Arguments) -> list[Json]:
        chat = self._chat(arguments)
        if chat.is_private:
            raise bad_request("there are no administrators in the private chat")
        everybody = {**chat.members, self._scene.world.my_id: chat.bot}
        return [self._member(chat, user) for user, status in everybody.items() if status in {"creator", "administrator"}]

    def get_chat_member_count(self, arguments: Arguments) -> int:
        chat = self._chat(arguments)
        return 2 if chat.is_private else len(chat.members) + chat.bot_is_in

    def leave_chat(self, arguments: Arguments) -> bool:
        chat = self._chat(arguments)
        if chat.is_private:
            raise bad_request("chat member status can't be changed in private chats")
        chat.bot = "left"
        self._scene.world.chat_changed(chat)
        return True

    def create_forum_topic(self, arguments: Arguments) -> Json:
        chat, name = self._chat(arguments), arguments.text("name")
        if chat.topics is None:
            raise bad_request("the chat is not a forum")
        created = {"name": name, "icon_color": _TOPIC_COLOUR}
        body = {"from": self._outgoing.me_as_user(), "forum_topic_created": created}
        number = self._scene.world.add(chat, body, author=self._scene.world.my_id)["message_id"]
        chat.topics[number] = name
        self._scene.world.chat_changed(chat)
        return {"message_thread_id": number, **created}

    def pin_chat_message(self, arguments: Arguments) -> bool:
        if (arguments.whole("message_id") or 0) not in self._chat(arguments).entries:
            raise bad_request("message to pin not found")
        return True

    def accept_in_chat(self, arguments: Arguments) -> bool:
        self._chat(arguments)
        return True

    def get_user_profile_photos(self, arguments: Arguments) -> Json:
        if (arguments.whole("user_id") or 0) not in self._scene.world.users:
            raise bad_request("invalid user_id specified")
        return {"total_count": 0, "photos": []}

    def _member(self, chat: Chat, user: int) -> Json:
        about = self._scene.world.users[user]
        if chat.is_private:
            status = "member" if user in {chat.id, self._scene.world.my_id} else "left"
        else:
            status = chat.bot if user == self._scene.world.my_id else chat.members.get(user, "left")
        member: Json = {"status": status, "user": about}
        if status == "creator":
            member["is_anonymous"] = False
        elif status == "administrator":
            member |= {"can_be_edited": False, "is_anonymous": False, **dict.fromkeys(_RIGHTS, True)}
        elif status == "kicked":
            member["until_date"] = 0
        return member
