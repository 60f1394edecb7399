"""Alembic's environment. The connection comes from `storage.migrate`; there is no ini file."""

from __future__ import annotations

from typing import Any

from alembic import context

from storage.tables import ENGINE_TABLES, metadata


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """On SQLite the engine's tables live in the same namespace."""
    return kind != "table" or name not in ENGINE_TABLES


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
    include_name=_is_ours,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
