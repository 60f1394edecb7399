"""Links, what was seen behind them, and history that knows of them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
HAS_LINK = sa.text("link_id is not null")
IS_DUE = sa.text("next_run_at is not null")
HAS_JOB = sa.text("job_id is not null")


def upgrade() -> None:
    _links()
    _items()
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("link_id", BIG_ID, nullable=True))
        jobs.add_column(sa.Column("is_scheduled", sa.Boolean(), nullable=False, server_default=sa.false()))
        jobs.create_foreign_key("fk_jobs_link_id_links", "links", ["link_id"], ["id"], ondelete="SET NULL")
    op.create_index("ix_jobs_link", "jobs", ["link_id"], unique=False, sqlite_where=HAS_LINK, postgresql_where=HAS_LINK)
    with op.batch_alter_table("history_entries") as entries:
        entries.add_column(sa.Column("link_id", BIG_ID, nullable=True))
        entries.add_column(sa.Column("link_name", sa.Text(), nullable=True))
        entries.add_column(sa.Column("source_id", sa.Uuid(), nullable=True))
        entries.add_column(sa.Column("items", sa.Integer(), nullable=False, server_default="1"))
        entries.add_column(sa.Column("items_done", sa.Integer(), nullable=False, server_default="0"))
        entries.add_column(sa.Column("items_failed", sa.Integer(), nullable=False, server_default="0"))
    op.execute("update history_entries set items_done = 1 where outcome = 'success'")
    op.execute("update history_entries set items_failed = 1 where outcome = 'failure'")
    op.create_index("ix_history_entries_account_id", "history_entries", ["account_id", "id"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(
            "ix_history_entries_search", "history_entries", ["account_id", "id", "outcome", "origin", "ended_at", "words"], unique=False
        )
    op.create_index(
        "ix_history_entries_link", "history_entries", ["link_id", "id"], unique=False, sqlite_where=HAS_LINK, postgresql_where=HAS_LINK
    )


def _links() -> None:
    op.create_table(
        "links",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("download_session_id", sa.Uuid(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("url_digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("download_automatically", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("cookies", sa.Text(), nullable=True),
        sa.Column("cookies_until", TIME, nullable=True),
        sa.Column("schedule", sa.String(length=100), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("keep_last", sa.Integer(), nullable=True),
        sa.Column("selection", sa.String(length=100), nullable=False),
        sa.Column("telling", sa.String(length=12), nullable=False),
        sa.Column("chat_id", sa.BigInteger(), nullable=True),
        sa.Column("thread_id", sa.BigInteger(), nullable=True),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("problem_code", sa.String(length=40), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("state_since", TIME, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("listed_count", sa.Integer(), nullable=True),
        sa.Column("next_run_at", TIME, nullable=True),
        sa.Column("last_checked_at", TIME, nullable=True),
        sa.Column("told_code", sa.String(length=40), nullable=True),
        sa.Column("told_at", TIME, nullable=True),
        sa.Column("feed_epoch", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_links_account_id_accounts"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["download_session_id"],
            ["download_sessions.id"],
            name=op.f("fk_links_download_session_id_download_sessions"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint("account_id", "url_digest", name=op.f("uq_links_account_id_url_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_links_download_session_id", "links", ["download_session_id"], unique=False)
    op.create_index("ix_links_due", "links", ["next_run_at"], unique=False, sqlite_where=IS_DUE, postgresql_where=IS_DUE)


def _items() -> None:
    op.create_table(
        "link_items",
        sa.Column("link_id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("extractor", sa.String(length=100), nullable=False),
        sa.Column("item_id", sa.String(length=400), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("is_told", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("entries", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name=op.f("fk_link_items_link_id_links"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("link_id", "extractor", "item_id", name=op.f("pk_link_items")),
    )
    op.create_index("ix_link_items_seen", "link_items", ["link_id", "seen_at", "position"], unique=False)
    untold = sa.text("not is_told")
    op.create_index("ix_link_items_untold", "link_items", ["link_id"], unique=False, sqlite_where=untold, postgresql_where=untold)
    op.create_index("ix_link_items_job_id", "link_items", ["job_id"], unique=False, sqlite_where=HAS_JOB, postgresql_where=HAS_JOB)
