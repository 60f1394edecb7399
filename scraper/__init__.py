"""Fetches media from the web: yt-dlp in forked workers, behind the egress guard."""
