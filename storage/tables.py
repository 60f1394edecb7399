"""The tables. One metadata for SQLite and PostgreSQL; `migrations/` brings a database here."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Column, Dialect, ForeignKey, Index, Table, UniqueConstraint
from sqlalchemy.types import TypeDecorator

ENGINE_TABLES = frozenset(
    {
        "application_versions",
        "dbos_migrations",
        "notifications",
        "operation_outputs",
        "queues",
        "streams",
        "workflow_events",
        "workflow_events_history",
        "workflow_input",
        "workflow_output",
        "workflow_schedules",
        "workflow_status",
    }
)
"""Names that the engine uses in the same SQLite file: never a table of ours."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite keeps no zone, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the database")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


LIVE = sa.text("status in ('pending', 'processing')")
HAS_ENDED = sa.text("ended_at is not null")
HAS_LINK = sa.text("link_id is not null")
HAS_PAYER = sa.text("payer is not null")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only in a column of type INTEGER."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("username", sa.String(64), nullable=False),
    Column("username_key", sa.String(64), nullable=False, unique=True),  # case-folded: look-alikes by case are one
    Column("email", sa.String(320)),
    Column("email_key", sa.String(320)),  # case-folded
    Column("password_hash", sa.String(255)),
    Column("is_active", sa.Boolean, nullable=False, default=True),
    Column("is_superuser", sa.Boolean, nullable=False, default=False),
    Column("role", sa.String(12), nullable=False, server_default="user"),
    Column("allowance", sa.JSON(none_as_null=True)),  # what differs from the role's
    Column("made_for", sa.BigInteger),  # a Telegram identity, at first contact
    Column("is_leaving", sa.Boolean, nullable=False, server_default=sa.false()),  # it is being deleted
    Column("token_epoch", sa.Integer, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_accounts_email_key", "email_key", unique=True),
    Index("ix_accounts_made_for", "made_for", unique=True),
    sqlite_autoincrement=True,  # else the id of a deleted account is given to the next one
)

download_sessions = Table(
    "download_sessions",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("folder", sa.Uuid, nullable=False, unique=True),
    Column("owner_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), index=True),
    Column("created_by", sa.String(16), nullable=False),
    Column("requested_username", sa.String(64)),
    Column("requested_id", BIG_ID),  # the account that had this name then; no foreign key: its id is nobody else's ever
    Column("closes_with_job", sa.Boolean, nullable=False, default=False),
    Column("address", sa.String(64)),  # of the anonymous caller who opened it; NULL for everybody else's
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_activity", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Index("ix_download_sessions_created", "created_at", "id"),
    Index(
        "ix_download_sessions_open_anonymous",
        "last_activity",
        sqlite_where=sa.text("address is not null and closed_at is null"),
        postgresql_where=sa.text("address is not null and closed_at is null"),
    ),
)

links = Table(
    "links",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("download_session_id", sa.Uuid, ForeignKey("download_sessions.id", ondelete="SET NULL")),  # where its downloads go
    Column("url", sa.Text, nullable=False),
    Column("url_digest", sa.String(64), nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("type", sa.String(20), nullable=False),
    Column("is_enabled", sa.Boolean, nullable=False),
    Column("download_automatically", sa.Boolean, nullable=False),
    Column("tags", sa.JSON, nullable=False),
    Column("cookies", sa.Text),  # encrypted: a cookies.txt
    Column("cookies_until", UtcDateTime),  # when the first of them that expires does so
    Column("schedule", sa.String(100)),  # five-field cron; NULL: every so often, as the settings say
    Column("timezone", sa.String(64), nullable=False),
    Column("filters", sa.JSON, nullable=False),
    Column("keep_last", sa.Integer),
    Column("selection", sa.String(100), nullable=False),
    Column("telling", sa.String(12), nullable=False),
    Column("chat_id", sa.BigInteger),  # whom new items are sent to; NULL: the owner's own chat
    Column("thread_id", sa.BigInteger),
    Column("callback_url", sa.Text),  # encrypted
    Column("title", sa.Text),  # as the site calls it
    Column("state", sa.String(12), nullable=False),
    Column("problem_code", sa.String(40)),
    Column("problem", sa.Text),
    Column("state_since", UtcDateTime, nullable=False),
    Column("failures", sa.Integer, nullable=False, server_default="0"),  # in a row
    Column("listed_count", sa.Integer),  # how many items the site said there are, at the last look
    Column("next_run_at", UtcDateTime),
    Column("last_checked_at", UtcDateTime),
    Column("told_code", sa.String(40)),  # the problem that the owner knows of
    Column("told_at", UtcDateTime),  # the last digest
    Column("feed_epoch", sa.Integer, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("account_id", "url_digest"),
    Index("ix_links_download_session_id", "download_session_id"),
    Index(
        "ix_links_due",
        "next_run_at",
        sqlite_where=sa.text("next_run_at is not null"),
        postgresql_where=sa.text("next_run_at is not null"),
    ),
    sqlite_autoincrement=True,  # else history of a deleted one would be the next one's
)

link_items = Table(
    "link_items",
    metadata,
    Column("link_id", BIG_ID, ForeignKey("links.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("extractor", sa.String(100), primary_key=True),
    Column("item_id", sa.String(400), primary_key=True),
    Column("state", sa.String(12), nullable=False),
    Column("url", sa.Text),
    Column("title", sa.Text),
    Column("job_id", sa.Uuid),  # no foreign key: the archive outlives files and jobs
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("position", sa.Integer, nullable=False, server_default="0"),  # among those that were seen in this moment, newest first
    Column("is_told", sa.Boolean, nullable=False, server_default=sa.true()),  # the owner knows of it
    Column("entries", sa.JSON(none_as_null=True)),  # what gallery-dl's archives call its files
    Index("ix_link_items_seen", "link_id", "seen_at", "position"),
    Index("ix_link_items_untold", "link_id", sqlite_where=sa.text("not is_told"), postgresql_where=sa.text("not is_told")),
    Index("ix_link_items_job_id", "job_id", sqlite_where=sa.text("job_id is not null"), postgresql_where=sa.text("job_id is not null")),
)
"""What was seen behind a link: an archive that outlives the files."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("download_session_id", sa.Uuid, ForeignKey("download_sessions.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE")),
    Column("payer", sa.String(80)),
    Column("parent_id", sa.Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), index=True),
    Column("origin", sa.String(16), nullable=False),
    Column("url", sa.Text, nullable=False),
    Column("selection", sa.String(100), nullable=False),
    Column("scope", sa.String(80), nullable=False),
    Column("dedupe_key", sa.String(64), nullable=False),
    Column("refresh", sa.Boolean, nullable=False),
    Column("callback_url", sa.Text),  # encrypted: who is told of its end
    Column("max_items", sa.Integer),  # of a list, that is taken; NULL where a list is refused
    Column("position", sa.Integer, nullable=False, server_default="0"),  # among its parent's children
    Column("link_id", BIG_ID, ForeignKey("links.id", ondelete="SET NULL")),  # that it checks, or got it from
    Column("is_scheduled", sa.Boolean, nullable=False, server_default=sa.false()),  # nobody asked for it in this moment
    Column("status", sa.String(12), nullable=False),
    Column("attempt", sa.Integer, nullable=False),
    Column("starts", sa.Integer, nullable=False),
    Column("seq", sa.BigInteger, nullable=False),
    Column("phase", sa.String(16), nullable=False),
    Column("downloaded_bytes", sa.BigInteger),
    Column("total_bytes", sa.BigInteger),
    Column("speed", sa.Double),  # bytes a second
    Column("eta", sa.Double),  # seconds
    Column("waits_for", sa.String(80)),
    Column("title", sa.Text),
    Column("artist", sa.Text),
    Column("error_code", sa.String(40)),
    Column("error_message", sa.Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("asked_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Index("ix_jobs_one_live_twin", "download_session_id", "dedupe_key", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
    Index("ix_jobs_live", "created_at", sqlite_where=LIVE, postgresql_where=LIVE),
    Index(
        "ix_jobs_waits_for", "waits_for", sqlite_where=sa.text("waits_for is not null"), postgresql_where=sa.text("waits_for is not null")
    ),
    Index("ix_jobs_session_created", "download_session_id", "created_at"),
    Index("ix_jobs_account_created", "account_id", "created_at", "id"),
    Index("ix_jobs_created", "created_at", "id"),
    Index("ix_jobs_status_created", "status", "created_at", "id"),
    Index("ix_jobs_account_status_created", "account_id", "status", "created_at", "id"),
    Index("ix_jobs_payer", "payer", sqlite_where=HAS_PAYER, postgresql_where=HAS_PAYER),
    Index("ix_jobs_link", "link_id", sqlite_where=HAS_LINK, postgresql_where=HAS_LINK),
    Index("ix_jobs_ended", "ended_at", sqlite_where=HAS_ENDED, postgresql_where=HAS_ENDED),
)

fetches = Table(
    "fetches",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("scope", sa.String(80), nullable=False),
    Column("extractor", sa.String(100), nullable=False),
    Column("media_id", sa.String(400), nullable=False),
    Column("selection", sa.String(100), nullable=False),
    Column("holder", sa.Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("scope", "extractor", "media_id", "selection"),
)

media_files = Table(
    "media_files",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("scope", sa.String(80), nullable=False),
    Column("extractor", sa.String(100), nullable=False),
    Column("media_id", sa.String(400), nullable=False),
    Column("selection", sa.String(100), nullable=False),
    Column("position", sa.Integer, nullable=False),
    Column("is_current", sa.Boolean, nullable=False),  # false once a newer fetch of the same key replaced it
    Column("kind", sa.String(12), nullable=False),
    Column("extension", sa.String(12), nullable=False),
    Column("size", sa.BigInteger, nullable=False),
    Column("sha256", sa.String(64), nullable=False),
    Column("location", sa.Text, nullable=False),
    Column("title", sa.Text, nullable=False),
    Column("artist", sa.Text),
    Column("duration_ms", sa.BigInteger),
    Column("width", sa.Integer),
    Column("height", sa.Integer),
    Column("etag", sa.Text),
    Column("last_modified", sa.Text),
    Column("length", sa.BigInteger),
    Column("created_at", UtcDateTime, nullable=False),
    Index(
        "ix_media_files_current",
        "scope",
        "extractor",
        "media_id",
        "selection",
        "position",
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    ),
)

media_urls = Table(
    "media_urls",
    metadata,
    Column("url_digest", sa.String(64), primary_key=True),
    Column("scope", sa.String(80), primary_key=True),
    Column("extractor", sa.String(100), nullable=False),
    Column("media_id", sa.String(400), nullable=False),
)
"""Where an address led before, so that a store hit needs no look at the site."""

job_files = Table(
    "job_files",
    metadata,
    Column("job_id", sa.Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", sa.String(255), primary_key=True),
    Column("position", sa.Integer, nullable=False),
    Column("media_file_id", BIG_ID, ForeignKey("media_files.id", ondelete="RESTRICT"), nullable=False, index=True),
    Column("path", sa.Text, nullable=False),
    Column("epoch", sa.Integer, nullable=False, default=0),
)

history_entries = Table(
    "history_entries",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("job_id", sa.Uuid, nullable=False),  # no foreign key: an entry outlives its job
    Column("attempt", sa.Integer, nullable=False),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE")),
    Column("download_session_id", sa.Uuid, nullable=False),
    Column("origin", sa.String(16), nullable=False),
    Column("outcome", sa.String(12), nullable=False),
    Column("link_id", BIG_ID),  # no foreign key: an entry outlives its link
    Column("link_name", sa.Text),
    Column("source_id", sa.Uuid),
    Column("title", sa.Text),
    Column("url", sa.Text, nullable=False),
    Column("message", sa.Text, nullable=False),
    Column("code", sa.String(40)),
    Column("files", sa.JSON, nullable=False),
    Column("items", sa.Integer, nullable=False, server_default="1"),
    Column("items_done", sa.Integer, nullable=False, server_default="0"),
    Column("items_failed", sa.Integer, nullable=False, server_default="0"),
    Column("words", sa.Text),  # title, address and link's name, case-folded: what a search looks into
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime, nullable=False),
    UniqueConstraint("job_id", "attempt"),
    Index("ix_history_entries_account_ended", "account_id", "ended_at"),
    Index("ix_history_entries_account_id", "account_id", "id"),
    # A search reads this alone; else a row an entry, which lie far apart. PostgreSQL has no index of texts so long.
    Index("ix_history_entries_search", "account_id", "id", "outcome", "origin", "ended_at", "words", info={"only": "sqlite"}).ddl_if(
        dialect="sqlite"
    ),
    Index("ix_history_entries_link", "link_id", "id", sqlite_where=HAS_LINK, postgresql_where=HAS_LINK),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", sa.String(100), primary_key=True),
    Column("key", sa.String(255), primary_key=True),
    Column("body_hash", sa.String(64), nullable=False),
    Column("job_id", sa.Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("more_job_ids", sa.JSON(none_as_null=True)),  # where one request asked for several
    Column("created_at", UtcDateTime, nullable=False),
)

kept_values = Table(
    "kept_values",
    metadata,
    Column("name", sa.String(100), primary_key=True),
    Column("value", sa.Text, nullable=False),
)
"""Single values of the installation, such as the fingerprint of the key that its secrets were encrypted with."""

# --- who is who -----------------------------------------------------------------------------------------------------

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", sa.String(100), nullable=False),
    Column("start", sa.String(16), nullable=False),  # its first characters, by which people know it
    Column("digest", sa.String(64), nullable=False, unique=True),
    Column("scope", sa.String(12), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
)

one_time_codes = Table(
    "one_time_codes",
    metadata,
    Column("digest", sa.String(64), primary_key=True),
    Column("purpose", sa.String(12), nullable=False),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("number", sa.Integer),  # two digits that both sides of a pairing show
    Column("telegram_id", sa.BigInteger),  # the identity that asked for it in the chat
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
"""Password resets, pairing codes, sign-in links: whoever shows one may do one thing, once."""

site_cookies = Table(
    "site_cookies",
    metadata,
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("site", sa.String(253), primary_key=True),
    Column("content", sa.Text, nullable=False),  # encrypted
    Column("created_at", UtcDateTime, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("url", sa.Text),  # encrypted: where all jobs are told of
    Column("secret", sa.Text, nullable=False),  # encrypted: each message is signed with it
    Column("created_at", UtcDateTime, nullable=False),
)

webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", sa.Uuid, nullable=False),  # no foreign key: a message outlives its job
    Column("event", sa.String(40), nullable=False),
    Column("url", sa.Text, nullable=False),  # encrypted
    Column("body", sa.Text, nullable=False),  # encrypted
    Column("state", sa.String(12), nullable=False),
    Column("tries", sa.Integer, nullable=False),
    Column("last_status", sa.Integer),
    Column("next_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_webhook_messages_account_created", "account_id", "created_at"),
)

charges = Table(
    "charges",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("job_id", sa.Uuid, nullable=False, index=True),  # no foreign key: deleting a job gives nothing back
    Column("payer", sa.String(80), nullable=False),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), index=True),
    Column("bytes", sa.BigInteger, nullable=False),
    Column("charged_at", UtcDateTime, nullable=False),
    Index("ix_charges_payer_charged", "payer", "charged_at"),
)
"""What counts against the limits of a day."""

ended_logins = Table(
    "ended_logins",
    metadata,
    Column("id", sa.String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
)
"""Tokens that were signed out with before their time was over."""

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="SET NULL"), index=True),  # who did it
    Column("action", sa.String(40), nullable=False),
    Column("subject_id", BIG_ID),  # to which account; no foreign key: that it was deleted is told too
    Column("details", sa.String(200)),
)

# --- the chat -------------------------------------------------------------------------------------------------------

telegram_users = Table(
    "telegram_users",
    metadata,
    Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("first_name", sa.Text, nullable=False),
    Column("username", sa.String(64)),
    Column("language_code", sa.String(35)),
    Column("download_session_id", sa.Uuid, ForeignKey("download_sessions.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

preferences = Table(
    "preferences",
    metadata,
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("selection", sa.String(100)),
    Column("starts_by_itself", sa.Boolean, nullable=False),
    Column("language", sa.String(8)),
)

telegram_updates = Table(
    "telegram_updates",
    metadata,
    Column("bot_id", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("update_id", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("body", sa.Text),  # encrypted: people send more than links; NULL once it has been dealt with
    Column("received_at", UtcDateTime, nullable=False),
)
"""The inbox: what Telegram told us. The last ones stay, empty, since Telegram may tell them again."""

cards = Table(
    "cards",
    metadata,
    Column("id", sa.String(16), primary_key=True),
    Column("bot_id", sa.BigInteger, nullable=False),
    Column("account_id", BIG_ID, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("asker_id", sa.BigInteger),  # a Telegram identity; no foreign key: it may leave the account
    Column("chat_id", sa.BigInteger, nullable=False),
    Column("thread_id", sa.BigInteger),
    Column("request_id", sa.BigInteger),
    Column("position", sa.Integer, nullable=False),
    Column("url", sa.Text, nullable=False),
    Column("url_digest", sa.String(64), nullable=False, index=True),
    Column("clip", sa.String(40)),
    Column("message_id", sa.BigInteger),
    Column("asks", sa.Boolean, nullable=False),  # nothing starts by itself
    Column("has_media", sa.Boolean, nullable=False),  # our message is a picture or a file with a caption, not a text
    Column("state", sa.String(12), nullable=False),
    Column("description", sa.Text),  # JSON, encrypted where the address is
    Column("picture", sa.LargeBinary),  # JPEG
    Column("starts_at", UtcDateTime),
    Column("job_id", sa.Uuid, ForeignKey("jobs.id", ondelete="SET NULL"), index=True),
    Column("error_code", sa.String(40)),
    Column("range_from", sa.Integer, nullable=False),
    Column("range_to", sa.Integer),
    Column("is_settled", sa.Boolean, nullable=False, server_default=sa.true()),  # the chat has seen its end
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("bot_id", "chat_id", "request_id", "position"),
    Index("ix_cards_message", "bot_id", "chat_id", "message_id"),
    Index("ix_cards_unsettled", "bot_id", sqlite_where=sa.text("not is_settled"), postgresql_where=sa.text("not is_settled")),
    Index(
        "ix_cards_open",
        "created_at",
        sqlite_where=sa.text("state in ('looking', 'offered', 'ordered')"),
        postgresql_where=sa.text("state in ('looking', 'offered', 'ordered')"),
    ),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BIG_ID, primary_key=True),
    Column("card_id", sa.String(16), ForeignKey("cards.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", sa.Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", sa.String(12), nullable=False),
    Column("tries", sa.Integer, nullable=False),
    Column("parts", sa.Integer, nullable=False),
    Column("error_code", sa.String(40)),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("card_id", "job_id"),
)

telegram_copies = Table(
    "telegram_copies",
    metadata,
    Column("media_file_id", BIG_ID, ForeignKey("media_files.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("bot_id", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("kind", sa.String(12), nullable=False),
    Column("file_id", sa.Text, nullable=False),
    Column("vault_chat_id", sa.BigInteger),
    Column("vault_message_id", sa.BigInteger),
)
"""Stored media as Telegram has it."""
