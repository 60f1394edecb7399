from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from magpie.config import ConfigError, read_config, unknown_names
from magpie.parts import make_fetcher


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_setting_there_is_a_sensible_default(empty_place: Path) -> None:
    config = read_config()
    assert config.database == f"sqlite:///{empty_place}/data/magpie.db"
    assert config.media == f"{empty_place}/data/media"
    assert config.hosts == ("127.0.0.1", "::1")
    assert config.listens_on_loopback_only


def test_values_come_from_the_environment_before_the_file(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_place / ".env").write_text("MAGPIE_PORT=9001\nMAGPIE_WORKERS=2\n")
    monkeypatch.setenv("MAGPIE_PORT", "9002")
    config = read_config()
    assert (config.port, config.workers) == (9002, 2)


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("LINK_TTL", "90m", "link_ttl", timedelta(minutes=90)),
        ("LINK_TTL", "3600", "link_ttl", timedelta(hours=1)),
        ("MAX_FILE_SIZE", "1.5 GB", "max_file_size", 1_500_000_000),
        ("AUTO_DOWNLOAD_HOSTS", " Example.com, *.sub.org ,", "auto_download_hosts", ("example.com", "sub.org")),
        ("AUTO_DOWNLOAD_HOSTS", "*", "auto_download_hosts", ("*",)),
        ("PUBLIC_URL", "https://m.example/", "public_url", "https://m.example"),
        ("PUBLIC_URL", "", "public_url", None),
        ("DATA_DIR", "", "data_dir", Path("data")),
        ("HOST", "", "hosts", ("127.0.0.1", "::1")),
        ("TRUST_LOCAL", "no", "trust_local", False),
        ("HOST", "0.0.0.0,::1", "hosts", ("0.0.0.0", "::1")),
        ("TRUSTED_PROXIES", "10.0.0.0/8,::1", "trusted_proxies", ("10.0.0.0/8", "::1")),
    ],
)
def test_values_are_read_in_their_usual_spellings(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(f"MAGPIE_{name}", value)
    assert getattr(read_config(), field) == expected


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("PORT", "x", "integer"),
        ("PORT", "70000", "65535"),
        ("PORT", "0", "greater than or equal to 1"),
        ("LINK_TTL", "soon", "24h"),
        ("LINK_TTL", "0", "greater than"),
        ("MAX_FILE_SIZE", "big", "20GB"),
        ("MAX_FILE_SIZE", "-1", "20GB"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("PUBLIC_URL", "magpie.example", "https://"),
        ("DATABASE_URL", "mysql://x", "postgresql://"),
        ("MEDIA_URL", "gs://x", "s3://"),
        ("SECRET_KEYS", "short", "16 characters"),
        ("TRUSTED_PROXIES", "everyone", "10.0.0.0/8"),
        ("AUTO_DOWNLOAD_HOSTS", "https://youtube.com/", "without http://"),
        ("LOG_FORMAT", "xml", "human"),
        ("TRUST_LOCAL", "perhaps", "boolean"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_name_and_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, accepted: str
) -> None:
    monkeypatch.setenv(f"MAGPIE_{name}", value)
    with pytest.raises(ConfigError) as wrong:
        read_config()
    line = str(wrong.value)
    assert line.startswith(f"MAGPIE_{name}: ")
    assert accepted in line
    assert "\n" not in line


def test_postgresql_needs_given_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGPIE_DATABASE_URL", "postgresql://u:p@db/m")
    with pytest.raises(ConfigError, match="MAGPIE_SECRET_KEYS must be given"):
        read_config()


def test_a_misspelt_setting_is_noticed() -> None:
    assert unknown_names(["MAGPIE_PROT", "MAGPIE_PORT", "PATH"]) == ["MAGPIE_PROT"]


def test_any_address_outside_loopback_counts_as_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGPIE_HOST", "127.0.0.1,0.0.0.0")
    assert not read_config().listens_on_loopback_only


def test_a_plugin_directory_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGPIE_YTDLP_PLUGIN_DIRS", "no/such/place")
    with pytest.raises(ConfigError, match="MAGPIE_YTDLP_PLUGIN_DIRS"):
        make_fetcher(read_config())
