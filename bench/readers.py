"""Many readers of one job's events: `python -m bench.readers PORT PATH COUNT ANSWER`.

Prints a line when all have had their first event; when the streams have ended, writes for each reader its events' numbers and
when they came. A reader is a bare socket, so that this side is fast enough not to be what is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path

_ID = re.compile(rb"^id: (\d+)", re.MULTILINE)
AT_ONCE = 50
"""So many connect at once: more than a listening socket queues would be refused for a second."""


class Reader(asyncio.Protocol):
    """Notes when it got what."""

    def __init__(self, path: str) -> None:
        self._path, self._rest = path, b""
        self.heard: list[tuple[int, float]] = []
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        whole, separator, self._rest = (self._rest + data).rpartition(b"\n\n")
        self.heard += [(int(number), at) for number in _ID.findall(whole + separator)]
        if self.heard and not self.begun.done():
            self.begun.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a server that stops may reset the connection
        for waited in (self.begun, self.ended):
            if not waited.done():
                waited.set_result(None)


async def read(port: int, path: str, count: int) -> list[list[tuple[int, float]]]:
    loop = asyncio.get_running_loop()
    readers: list[Reader] = []
    while len(readers) < count:
        connecting = [loop.create_connection(lambda: Reader(path), "127.0.0.1", port) for _ in range(min(AT_ONCE, count - len(readers)))]
        some = [reader for _, reader in await asyncio.gather(*connecting)]
        await asyncio.gather(*(reader.begun for reader in some))
        readers += some
    if not all(reader.heard for reader in readers):
        raise RuntimeError("some readers were turned away")
    print("joined", flush=True)
    await asyncio.gather(*(reader.ended for reader in readers))
    return [reader.heard for reader in readers]


if __name__ == "__main__":
    Path(sys.argv[4]).write_text(json.dumps(asyncio.run(read(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))))
