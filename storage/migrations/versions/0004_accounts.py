"""Accounts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Said again, since SQLite may have to make the table anew: else the id of a deleted account would be given to the next one.
    with op.batch_alter_table("accounts", table_kwargs={"sqlite_autoincrement": True}) as accounts:
        accounts.add_column(sa.Column("email_key", sa.String(length=320), nullable=True))
        accounts.add_column(sa.Column("role", sa.String(length=12), nullable=False, server_default="user"))
        accounts.add_column(sa.Column("allowance", sa.JSON(), nullable=True))
        accounts.add_column(sa.Column("token_epoch", sa.Integer(), nullable=False, server_default="0"))
        accounts.add_column(sa.Column("made_for", sa.BigInteger(), nullable=True))
        accounts.add_column(sa.Column("is_leaving", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_accounts_email_key", "accounts", ["email_key"], unique=True)
    op.create_index("ix_accounts_made_for", "accounts", ["made_for"], unique=True)
    op.execute("update accounts set made_for = (select min(id) from telegram_users where account_id = accounts.id) where id <> 0")
    with op.batch_alter_table("download_sessions") as sessions:
        sessions.add_column(sa.Column("requested_id", BIG_ID, nullable=True))
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("payer", sa.String(length=80), nullable=True))
    op.execute("update jobs set payer = 'account:' || account_id where account_id is not null")
    with op.batch_alter_table("cards") as cards:
        cards.add_column(sa.Column("asker_id", sa.BigInteger(), nullable=True))
    op.execute("update cards set asker_id = (select min(id) from telegram_users where account_id = cards.account_id)")
    _credentials()
    _limits()


def _credentials() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("start", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_api_keys_account_id_accounts"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_index(op.f("ix_api_keys_account_id"), "api_keys", ["account_id"], unique=False)
    op.create_table(
        "one_time_codes",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=12), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("telegram_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_one_time_codes_account_id_accounts"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_one_time_codes")),
    )
    op.create_index(op.f("ix_one_time_codes_account_id"), "one_time_codes", ["account_id"], unique=False)
    op.create_table(
        "ended_logins",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_logins")),
    )
    op.create_table(
        "site_cookies",
        sa.Column("account_id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("site", sa.String(length=253), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_site_cookies_account_id_accounts"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", "site", name=op.f("pk_site_cookies")),
    )


def _limits() -> None:
    op.create_table(
        "charges",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("payer", sa.String(length=80), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("charged_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_charges_account_id_accounts"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
    )
    op.create_index(op.f("ix_charges_account_id"), "charges", ["account_id"], unique=False)
    op.create_index(op.f("ix_charges_job_id"), "charges", ["job_id"], unique=False)
    op.create_index("ix_charges_payer_charged", "charges", ["payer", "charged_at"], unique=False)
    op.create_table(
        "audit_entries",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", BIG_ID, nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject_id", BIG_ID, nullable=True),
        sa.Column("details", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_audit_entries_account_id_accounts"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index(op.f("ix_audit_entries_at"), "audit_entries", ["at"], unique=False)
    op.create_index(op.f("ix_audit_entries_account_id"), "audit_entries", ["account_id"], unique=False)
