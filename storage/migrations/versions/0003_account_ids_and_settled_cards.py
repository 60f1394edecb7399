"""Account ids are never used again; cards remember whether their end was seen, jobs when they were asked for again"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":  # PostgreSQL's sequences never go back
        with op.batch_alter_table("accounts", recreate="always", table_kwargs={"sqlite_autoincrement": True}):
            pass
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("cards") as cards:
        cards.add_column(sa.Column("is_settled", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_index(
        "ix_cards_unsettled",
        "cards",
        ["bot_id"],
        sqlite_where=sa.text("not is_settled"),
        postgresql_where=sa.text("not is_settled"),
    )
