"""A strict Bot API server on loopback, with people to talk to the bot: for tests, bench and demo. No Telegram, no network.

In process:

    async with BotApi(directory=path) as api:
        application = ApplicationBuilder().token(api.token).base_url(f"{api.base}/bot").base_file_url(f"{api.base}/file/bot").build()
        alice = api.user(1001, first_name="Alice")
        said = await alice.says("https://example.org/clip")
        card = await api.until(lambda: api.sent(alice.id) and api.sent(alice.id)[-1])
        query = await alice.presses(card, "1080p")

`api.group(...)` and `api.channel(...)` make the other places; `api.messages`, `.sent`, `.calls`, `.refusals`, `.answers`, `.reactions`,
`.texts()`, `.file_bytes(...)` show what happened; `api.fail_next`, `.hang_next`, `.cut_next`, `.hold`, `.before_answer` make things go
wrong; `limits=Limits.telegram()` paces as Telegram does. `keep=True` keeps everything over a restart, also after kill -9.

As a process, with the people driven over HTTP (`sandbox.bot_api.control`, and `sandbox.bot_api.remote` for Python):

    python -m sandbox.bot_api --port 8081 --token 1000000001:sandbox-token --directory D

It refuses what Telegram refuses, in Telegram's words. What it does not have answers 404: inline mode, payments, games, polls, stickers
sets, stories, business accounts. It does not look into media: what a sender does not say of a video is unknown (320x320, 0 s).
With another token it is another bot: private chats have to be started anew, groups and channels are taken to have added it, and file
ids of the bot before mean nothing to it.
"""

from sandbox.bot_api.api import TOKEN, BotApi
from sandbox.bot_api.journal import Call, Refusal
from sandbox.bot_api.limits import Limits
from sandbox.bot_api.people import Item, User
from sandbox.bot_api.places import Channel, Group
from sandbox.bot_api.values import Json

__all__ = ["TOKEN", "BotApi", "Call", "Channel", "Group", "Item", "Json", "Limits", "Refusal", "User"]
