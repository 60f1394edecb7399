"""`python -m sandbox.bot_api --directory D [--port N] [--token T] [--limits telegram|off] [--max-upload BYTES] [--keep]`.

Serves until SIGTERM or SIGINT, after one line `bot api at http://127.0.0.1:N`, with control routes under `/_sandbox/`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
from pathlib import Path

from sandbox.bot_api.api import TOKEN, BotApi
from sandbox.bot_api.limits import Limits
from sandbox.bot_api.media import MB


async def serve(given: argparse.Namespace, directory: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    limits = Limits.telegram() if given.limits == "telegram" else Limits.off()
    api = BotApi(
        directory=directory, token=given.token, username=given.username, limits=limits, max_upload=given.max_upload, keep=given.keep,
        privacy=given.privacy, control=True,
    )  # fmt: skip
    await api.start(given.host, given.port)
    print(f"bot api at {api.base}", flush=True)  # noqa: T201 - the line that whoever started us waits for
    await stop.wait()
    await api.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.bot_api", description="A Bot API server for tests, bench and demo.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--username", default="magpie_bot")
    parser.add_argument("--directory", type=Path, help="where files are kept; default: a temporary one")
    parser.add_argument("--limits", choices=["telegram", "off"], default="off")
    parser.add_argument("--max-upload", type=int, default=50 * MB, help="bytes")
    parser.add_argument("--keep", action="store_true", help="keep chats, messages and updates in the directory")
    parser.add_argument("--privacy", action="store_true", help="hear in groups only what is meant for the bot")
    given = parser.parse_args()
    if given.directory is not None:
        asyncio.run(serve(given, given.directory))
        return
    with tempfile.TemporaryDirectory(prefix="bot-api-") as directory:
        asyncio.run(serve(given, Path(directory)))


if __name__ == "__main__":
    main()
