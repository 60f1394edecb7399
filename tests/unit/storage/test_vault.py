from __future__ import annotations

import stat
from pathlib import Path

import pytest

from storage.vault import MultiFernetVault, UnreadableSecret, secret_keys_from

OLD, NEW = "an old key, long enough", "a new key, long enough"


def test_a_secret_comes_back_and_is_not_readable_in_between() -> None:
    vault = MultiFernetVault([OLD])
    token = vault.encrypt("sécret")
    assert b"cret" not in token
    assert vault.decrypt(token) == "sécret"


def test_rotation_moves_secrets_to_the_first_key() -> None:
    token = MultiFernetVault([OLD]).encrypt("secret")
    both = MultiFernetVault([NEW, OLD])
    assert both.decrypt(token) == "secret"
    moved = both.rotate(token)
    assert MultiFernetVault([NEW]).decrypt(moved) == "secret"
    with pytest.raises(UnreadableSecret):
        MultiFernetVault([NEW]).decrypt(token)
    with pytest.raises(UnreadableSecret):
        MultiFernetVault([NEW]).rotate(token)


def test_the_fingerprint_names_the_first_key_only() -> None:
    assert MultiFernetVault([NEW, OLD]).fingerprint == MultiFernetVault([NEW]).fingerprint != MultiFernetVault([OLD]).fingerprint
    assert NEW not in MultiFernetVault([NEW]).fingerprint


@pytest.mark.parametrize("keys", [[], ["short"], [NEW, "short"]])
def test_no_key_or_a_short_one_is_refused(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="16 characters"):
        MultiFernetVault(keys)


def test_the_key_file_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    first = secret_keys_from(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret_keys_from(file) == first
    file.write_text(f"{NEW}\n\n{OLD}\n")
    assert secret_keys_from(file) == (NEW, OLD)
