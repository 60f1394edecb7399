"""The Telegram chat: python-telegram-bot around the use cases in `service`."""
