"""Tokens of people who are logged in: JSON Web Tokens, signed with the installation's own secret."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import jwt

from service.logins import Audience, Claims
from storage.vault import MultiFernetVault

PURPOSE: Final = "tokens"
ALGORITHM: Final = "HS256"
ISSUER: Final = "magpie"
LONGEST: Final = 4096
_NEEDED: Final = ["sub", "exp", "iat", "aud", "iss", "jti", "epoch"]


class JwtTokens:
    """The first secret key signs; all of them verify."""

    def __init__(self, vault: MultiFernetVault) -> None:
        self._keys = vault.keys_for(PURPOSE)

    def sign(self, claims: Claims) -> str:
        said = {
            "sub": str(claims.account_id),
            "epoch": claims.epoch,
            **({} if claims.telegram_id is None else {"tg": claims.telegram_id}),
            "aud": claims.audience.value,
            "iss": ISSUER,
            "jti": claims.id,
            "iat": int(claims.issued_at.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
        }
        return jwt.encode(said, self._keys[0], algorithm=ALGORITHM)

    def read(self, token: str) -> Claims | None:
        if len(token) > LONGEST:
            return None
        for key in self._keys:
            try:
                said = jwt.decode(
                    token,
                    key,
                    algorithms=[ALGORITHM],  # never what the token itself names
                    issuer=ISSUER,
                    audience=[audience.value for audience in Audience],
                    options={"require": _NEEDED, "verify_exp": False, "verify_iat": False},
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.InvalidTokenError, ValueError):
                return None
            return _claims(said)
        return None


def _claims(said: dict[str, Any]) -> Claims | None:
    try:
        return Claims(
            account_id=int(said["sub"]),
            epoch=int(said["epoch"]),
            telegram_id=int(said["tg"]) if "tg" in said else None,
            audience=Audience(said["aud"]),
            id=str(said["jti"]),
            issued_at=datetime.fromtimestamp(int(said["iat"]), UTC),
            expires_at=datetime.fromtimestamp(int(said["exp"]), UTC),
        )
    except (TypeError, ValueError, OverflowError):
        return None
