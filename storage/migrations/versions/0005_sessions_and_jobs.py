"""Download sessions that people open, and lists of jobs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


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
        jobs.add_column(sa.Column("max_items", sa.Integer(), nullable=True))
    op.create_index("ix_jobs_account_created", "jobs", ["account_id", "created_at", "id"], unique=False)
    op.create_index("ix_jobs_created", "jobs", ["created_at", "id"], unique=False)
