"""Which passwords are good enough.

As NIST SP 800-63B (revision 4, section 3.1.1.2) asks of a password that is the only factor: at least 15 characters, at
least 64 allowed, every character accepted and none demanded, none of the well-known or expected ones, no change by date.
"""

from __future__ import annotations

import itertools
import unicodedata
from typing import Protocol

from service.errors import InvalidAccount

MIN_LENGTH, MAX_LENGTH = 15, 1000
_EXPECTED = frozenset(
    [
        "123456789012345",
        "1234567890123456",
        "12345678901234567890",
        "passwordpassword",
        "password1234567",
        "password12345678",
        "qwertyuiopasdfg",
        "qwertyuiopasdfghjkl",
        "qwertyuiop123456",
        "1q2w3e4r5t6y7u8i",
        "1qaz2wsx3edc4rfv",
        "iloveyouiloveyou",
        "letmeinletmeinletmein",
        "adminadminadmin",
        "administrator123",
        "correcthorsebatterystaple",
        "trustno1trustno1",
        "welcomewelcome123",
        "abcdefghijklmno",
        "abcdefghijklmnop",
        "abcdefghijklmnopqrstuvwxyz",
        "changemechangeme",
        "defaultpassword",
        "defaultpassword1",
        "passwordispassword",
        "thisismypassword",
        "mypasswordisthis",
        "asdfghjklasdfghjkl",
        "zxcvbnmzxcvbnm123",
        "111111111111111",
        "000000000000000",
        "magpiemagpiemagpie",
        "magpiepassword1",
        "telegramtelegram",
    ]
)
"""Well-known ones of at least 15 characters, without spaces and in small letters."""
_WORDS = frozenset(
    [
        "password",
        "passwort",
        "letmein",
        "welcome",
        "admin",
        "administrator",
        "iloveyou",
        "trustno1",
        "changeme",
        "default",
        "monkey",
        "dragon",
        "football",
        "baseball",
        "sunshine",
        "princess",
        "superman",
        "batman",
        "shadow",
        "master",
        "magpie",
        "telegram",
    ]
)
"""Shorter ones, and words that they are made of."""
_KEYS = [
    *("1234567890", "0123456789", "abcdefghijklmnopqrstuvwxyz"),
    *("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn"),
    *("1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik", "9ol"),
]
_ROWS = " ".join([*_KEYS, *(row[::-1] for row in _KEYS)])
"""What lies side by side, in either direction; columns go down the American keyboard."""
_SHORTEST, _LONGEST = 3, 13
"""Characters of a piece; a longer run is two."""
_OWN = 4
"""Characters that do not make a password of well-known pieces a good one: enough for a year."""
_LEET = str.maketrans("@013457$!", "aoieastsi")


class PasswordHashes(Protocol):
    """Slow on purpose, off the loop, only so many at once, and only so many that wait: beyond that, raises `Unavailable`."""

    async def hash(self, password: str) -> str: ...
    async def verify(self, password_hash: str | None, password: str) -> bool:
        """False, after as long a time, where there is no hash."""
        ...

    def is_outdated(self, password_hash: str) -> bool: ...


def normalised(password: str) -> str:
    """The same however a keyboard composes it (NFC would keep look-alikes apart that people cannot tell: NFKC)."""
    return unicodedata.normalize("NFKC", password)


def check(password: str, *about: str | None, field: str = "password") -> str:
    """The password as it is hashed. `about`: the user's name and address. Raises `InvalidAccount` with what is wrong."""
    text = normalised(password)
    lengths = len(password), len(text)  # NFKC makes a sentence of some single characters
    if "\0" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):  # noqa: PLR2004 - the surrogates
        raise InvalidAccount(field, "A password cannot hold this character.")
    if min(lengths) < MIN_LENGTH:
        raise InvalidAccount(field, f"A password needs at least {MIN_LENGTH} characters; a few words make a good one.")
    if max(lengths) > MAX_LENGTH:
        raise InvalidAccount(field, f"A password has at most {MAX_LENGTH} characters.")
    plain = "".join(text.casefold().split())
    if _is_expected(plain) or _is_expected(plain.translate(_LEET)) or _is_pattern(plain) or _own_in(plain) <= _OWN:
        raise InvalidAccount(field, "This password is one of the first that anybody would try; choose another.")
    for word in filter(None, (part.casefold() for one in about if one for part in (one, one.partition("@")[0]))):
        if plain.replace(word, "", 1).isdigit() or plain == word or _is_pattern_of(plain, word):
            raise InvalidAccount(field, "This password is made of your name or address; choose another.")
    return text


def _is_expected(text: str) -> bool:
    return text in _EXPECTED or any(_is_pattern_of(text, word) for word in _WORDS)


def _is_pattern(text: str) -> bool:
    """`aaaaaaaaaaaaaaa`, `abcabcabcabcabc`, `456789012345678`."""
    repeats = any(_is_pattern_of(text, text[:length]) for length in range(1, 5))
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(text)}
    if text.isdigit():
        steps = {step % 10 for step in steps}
    return repeats or steps in ({1}, {-1}, {9})


def _own_in(text: str) -> int:
    """How many characters are left when it is cut into as many well-known words and runs along the keyboard as there are."""
    least = [0]
    for end in range(1, len(text) + 1):
        is_one_more_mark = text[end - 2 : end - 1] == text[end - 1] and not text[end - 1].isalnum()
        best = least[-1] + (not is_one_more_mark)
        for start in range(max(0, end - _LONGEST), end - _SHORTEST + 1):
            if least[start] < best and _is_known(text[start:end]):
                best = least[start]
        least.append(best)
    return least[-1]


def _is_known(piece: str) -> bool:
    return piece in _WORDS or piece.translate(_LEET) in _WORDS or piece in _ROWS


def _is_pattern_of(text: str, word: str) -> bool:
    return bool(word) and (word * (len(text) // len(word) + 1))[: len(text)] == text
