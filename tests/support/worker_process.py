"""A worker of its own on PostgreSQL, for the tests that kill one: `python -m tests.support.worker_process URL ROOT`.

Its web holds one address whose download never ends, and tells on standard output when that began.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.fakes import FakeWeb
from tests.support.house import House


async def main(url: str, root: Path) -> None:
    house = House(url, root, web=FakeWeb(pages={"https://example.com/1": b"body 1"}, gate=asyncio.Event()))
    await house.start()
    await house.submit("1")
    await house.web.reached.wait()
    sys.stdout.write("downloading\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
