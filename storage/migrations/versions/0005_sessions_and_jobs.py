"""Download sessions that people open, and lists of jobs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("download_sessions") as sessions:
        sessions.add_column(sa.Column("address", sa.String(length=64), nullable=True))
    op.create_index("ix_download_sessions_created", "download_sessions", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_download_sessions_open_anonymous",
        "download_sessions",
        ["last_activity"],
        unique=False,
        sqlite_where=sa.text("address is not null and closed_at is null"),
        postgresql_where=sa.text("address is not null and closed_at is null"),
    )
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.add_column(sa.Column("more_job_ids", sa.JSON(), nullable=True))
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("callback_url", sa.Text(), nullable=True))
        jobs.add_column(sa.Column("max_items", sa.Integer(), nullable=True))
    op.drop_index("ix_jobs_account_id", table_name="jobs")
    op.create_index("ix_jobs_account_created", "jobs", ["account_id", "created_at", "id"], unique=False)
    op.create_index("ix_jobs_created", "jobs", ["created_at", "id"], unique=False)
    op.create_index("ix_jobs_status_created", "jobs", ["status", "created_at", "id"], unique=False)
    op.create_index("ix_jobs_account_status_created", "jobs", ["account_id", "status", "created_at", "id"], unique=False)
    paid = sa.text("payer is not null")
    op.create_index("ix_jobs_payer", "jobs", ["payer"], unique=False, sqlite_where=paid, postgresql_where=paid)
    ended = sa.text("ended_at is not null")
    op.create_index("ix_jobs_ended", "jobs", ["ended_at"], unique=False, sqlite_where=ended, postgresql_where=ended)
    _webhooks()


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("account_id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_webhooks_account_id_accounts"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_webhook_messages_account_id_accounts"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_messages")),
    )
    op.create_index("ix_webhook_messages_account_created", "webhook_messages", ["account_id", "created_at"], unique=False)
