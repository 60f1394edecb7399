"""Database, job queue, media store and secrets."""
