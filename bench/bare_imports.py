"""What our idle service is compared with: a process that only imports the same libraries, and waits."""

from __future__ import annotations

import asyncio

import aiohttp.web
import aiosqlite
import alembic.command
import asyncpg
import cryptography.fernet
import dbos
import obstore.store
import pydantic
import pydantic_settings
import sqlalchemy.ext.asyncio
import structlog
import telegram.ext

USED = (
    aiohttp.web, aiosqlite, alembic.command, asyncpg, cryptography.fernet, dbos, obstore.store, pydantic, pydantic_settings,
    sqlalchemy.ext.asyncio, structlog, telegram.ext,
)  # fmt: skip

if __name__ == "__main__":
    print("imported", flush=True)
    asyncio.run(asyncio.sleep(600))
