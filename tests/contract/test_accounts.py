"""Accounts, logins, keys and lost passwords: the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import jwt
import pytest

from service.accounts import AccountChange, NewAccount, Newcomer
from service.allowances import BY_ROLE, UNLIMITED, Allowance, Role
from service.audit import NOBODY, Act
from service.credentials import Purpose, Scope, digest_of
from service.errors import (
    AccountNotFound,
    ApiKeyNotFound,
    CodeInvalid,
    Forbidden,
    InvalidAccount,
    LastSuperuser,
    NameTaken,
    SetupCodeNeeded,
    TooManyTries,
    WrongPassword,
)
from service.logins import Audience
from storage.database import SqlDatabase
from tests.support.fakes import FakeClock
from tests.support.people import HERE, OPERATOR, OTHER_PASSWORD, PASSWORD, Town, actor, somewhere


@pytest.fixture
def town(database: SqlDatabase, clock: FakeClock) -> Town:
    return Town(database, clock)


def new(name: str, password: str = PASSWORD, email: str | None = None) -> NewAccount:
    return NewAccount(username=name, email=email or f"{name}@example.com", password=password)


# --- the first one ----------------------------------------------------------------------------------------------------


async def test_the_first_account_is_a_superuser_and_nobody_makes_a_second(town: Town) -> None:
    assert (await town.first()).is_superuser
    with pytest.raises(Forbidden):
        await town.accounts.create(NOBODY, new("second"), Newcomer(setup_code="a code of the tests"))


async def test_of_two_who_want_to_be_first_one_is(town: Town) -> None:
    tries = await asyncio.gather(
        *(town.accounts.create(NOBODY, new(name), Newcomer(setup_code="a code of the tests")) for name in ("ann", "ben")),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in tries) == ["Account", "Forbidden"]


@pytest.mark.parametrize("code", [None, "", "wrong"])
async def test_from_afar_the_first_account_needs_the_setup_code(database: SqlDatabase, clock: FakeClock, code: str | None) -> None:
    town = Town(database, clock, setup_code="the right one")
    with pytest.raises(SetupCodeNeeded):
        await town.first(code)
    assert (await town.first("the right one")).is_superuser


async def test_users_make_no_accounts(town: Town) -> None:
    await town.first()
    with pytest.raises(Forbidden):
        await town.accounts.create(actor(await town.account("ann")), new("ben"))


# --- names and passwords ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "\u0430dmin", "\uff41dmin", "a\u200bb", ".a", "a.", "x" * 65, "a/b", "ann\n"])
async def test_names_that_could_be_mistaken_are_refused(town: Town, name: str) -> None:
    with pytest.raises(InvalidAccount):
        await town.accounts.create(OPERATOR, new(name, email="a@example.com"))


@pytest.mark.parametrize("name", ["local", "LOCAL", "me", "tg-12", "TG-1"])
async def test_names_of_our_own_are_taken(town: Town, name: str) -> None:
    with pytest.raises(NameTaken):
        await town.accounts.create(OPERATOR, new(name, email="a@example.com"))


@pytest.mark.parametrize(("name", "email"), [("ANN", "other@example.com"), ("other", "ANN@Example.com")])
async def test_a_name_and_an_address_are_somebodys_whatever_their_case(town: Town, name: str, email: str) -> None:
    await town.account("ann")
    with pytest.raises(NameTaken):
        await town.accounts.create(OPERATOR, new(name, email=email))


async def test_a_change_cannot_take_anothers_name(town: Town) -> None:
    await town.account("ann")
    ben = await town.account("ben")
    with pytest.raises(NameTaken):
        await town.accounts.change(actor(ben), ben.id, AccountChange(username="Ann"))


# --- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [AccountChange(is_superuser=True), AccountChange(role=Role.TRUSTED), AccountChange(is_active=True)])
async def test_nobody_raises_their_own_rights(town: Town, change: AccountChange) -> None:
    await town.first()
    ann = await town.account("ann")
    with pytest.raises(Forbidden):
        await town.accounts.change(actor(ann), ann.id, change)


async def test_another_account_does_not_exist_for_a_user(town: Town) -> None:
    await town.first()
    ann, ben = await town.account("ann"), await town.account("ben")
    with pytest.raises(AccountNotFound):
        await town.accounts.change(actor(ann), ben.id, AccountChange(email="x@example.com"))


@pytest.mark.parametrize("change", [AccountChange(is_superuser=False), AccountChange(is_active=False)])
async def test_the_last_superuser_stays_one(town: Town, change: AccountChange) -> None:
    first = await town.first()
    with pytest.raises(LastSuperuser):
        await town.accounts.change(OPERATOR, first.id, change)
    await town.account("second", is_superuser=True)
    await town.accounts.change(OPERATOR, first.id, change)


async def test_two_superusers_cannot_take_each_others_rights_at_once(town: Town) -> None:
    first, second = await town.first(), await town.account("second", is_superuser=True)
    takes = [(first, second), (second, first)]
    change = AccountChange(is_superuser=False)
    tries = await asyncio.gather(*(town.accounts.change(actor(by), of.id, change) for by, of in takes), return_exceptions=True)
    assert sorted(type(one).__name__ for one in tries) == ["Account", "LastSuperuser"]


async def test_the_built_in_account_cannot_be_changed(town: Town) -> None:
    with pytest.raises(Forbidden):
        await town.accounts.change(OPERATOR, 0, AccountChange(password=PASSWORD))


async def test_an_allowance_is_the_roles_with_what_is_set_for_one(town: Town) -> None:
    await town.first()
    ann = await town.account("ann")
    assert ann.allowance == BY_ROLE[Role.USER]
    await town.accounts.change(OPERATOR, ann.id, AccountChange(role=Role.TRUSTED, allowance=Allowance(jobs_a_day=7)))
    known = await town.accounts.get(ann.id)
    assert (known.allowance.jobs_a_day, known.allowance.at_once) == (7, BY_ROLE[Role.TRUSTED].at_once)
    assert (await town.accounts.named("first")).allowance == UNLIMITED


# --- logging in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ann", "ANN", "ann@example.com", "Ann@Example.com"])
async def test_one_logs_in_by_name_or_address(town: Town, name: str) -> None:
    ann = await town.account("ann")
    login = await town.logins.log_in(name, PASSWORD, HERE)
    known = await town.logins.of_token(login.token)
    assert known is not None
    assert known.account.id == ann.id


@pytest.mark.parametrize(
    ("name", "password"), [("ann", "wrong"), ("ann", ""), ("nobody", PASSWORD), ("nobody@example.com", PASSWORD), ("local", "")]
)
async def test_what_is_wrong_is_answered_alike(town: Town, name: str, password: str) -> None:
    await town.account("ann")
    looked_at = town.hashes.verified
    with pytest.raises(WrongPassword):
        await town.logins.log_in(name, password, HERE)
    assert town.hashes.verified == looked_at + 1, "also where nobody is: else the time would tell"


async def test_nearly_all_of_many_wrong_passwords_are_refused_before_they_are_looked_at(town: Town) -> None:
    await town.account("ann")
    for number in range(300):
        with pytest.raises((WrongPassword, TooManyTries)):
            await town.logins.log_in("ann", f"wrong {number}", somewhere())
    assert town.hashes.verified <= 10


async def test_many_names_from_one_address_are_refused_too(town: Town) -> None:
    for number in range(400):
        with pytest.raises((WrongPassword, TooManyTries)):
            await town.logins.log_in(f"name {number}", "wrong", HERE)
    assert town.hashes.verified <= 150


async def test_the_right_password_ends_the_count(town: Town) -> None:
    await town.account("ann")
    for _ in range(4):
        for _ in range(5):
            with pytest.raises(WrongPassword):
                await town.logins.log_in("ann", "wrong", HERE)
        await town.logins.log_in("ann", PASSWORD, HERE)


async def test_a_token_ends_with_its_time(town: Town, clock: FakeClock) -> None:
    await town.account("ann")
    token = (await town.logins.log_in("ann", PASSWORD, HERE)).token
    clock.move(timedelta(minutes=59))
    assert await town.logins.of_token(token) is not None
    clock.move(timedelta(minutes=1))
    assert await town.logins.of_token(token) is None
    assert town.logins.is_expired(token)


async def test_a_token_is_for_one_place_only(town: Town) -> None:
    ann = await town.account("ann")
    assert await town.logins.of_token(town.logins.login_of(ann, Audience.WEB).token, Audience.API) is None
    assert await town.logins.of_token(town.logins.login_of(ann, Audience.API).token, Audience.WEB) is None


@pytest.mark.parametrize("change", [AccountChange(password=OTHER_PASSWORD), AccountChange(is_active=False)])
async def test_a_new_password_and_a_block_end_all_logins(town: Town, change: AccountChange) -> None:
    await town.first()
    ann = await town.account("ann")
    token = town.logins.login_of(ann).token
    await town.accounts.change(OPERATOR, ann.id, change)
    await town.accounts.change(OPERATOR, ann.id, AccountChange(is_active=True))
    assert await town.logins.of_token(token) is None


async def test_a_blocked_account_logs_in_no_more(town: Town) -> None:
    await town.first()
    ann = await town.account("ann")
    await town.accounts.change(OPERATOR, ann.id, AccountChange(is_active=False))
    with pytest.raises(WrongPassword):
        await town.logins.log_in("ann", PASSWORD, HERE)


async def test_forged_tokens_are_nobodys(town: Town) -> None:
    ann = await town.account("ann")
    token = town.logins.login_of(ann).token
    said = jwt.decode(token, options={"verify_signature": False})
    key = town.vault.keys_for("tokens")[0]
    forged = [
        jwt.encode(said, "", algorithm="none"),
        jwt.encode(said, "x" * 32, algorithm="HS256"),
        jwt.encode(said, key * 2, algorithm="HS512"),
        jwt.encode({**said, "iss": "somebody"}, key, algorithm="HS256"),
        jwt.encode({name: value for name, value in said.items() if name != "exp"}, key, algorithm="HS256"),
        jwt.encode({**said, "sub": "one"}, key, algorithm="HS256"),
        token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        token.rpartition(".")[0] + ".",
        "",
        "a.b.c",
        "x" * 5000,
    ]
    assert [await town.logins.of_token(one) for one in forged] == [None] * len(forged)


# --- keys -------------------------------------------------------------------------------------------------------------


async def test_a_key_is_known_until_it_is_revoked(town: Town) -> None:
    ann = await town.account("ann")
    key, secret = await town.keys.create(actor(ann), ann, "my key", Scope.READ)
    found = await town.keys.owner_of(secret)
    assert found is not None
    assert (found[0].scope, found[1].id) == (Scope.READ, ann.id)
    assert key.id is not None
    await town.keys.revoke(actor(ann), ann.id, key.id)
    assert await town.keys.owner_of(secret) is None


async def test_only_a_keys_digest_is_kept(town: Town) -> None:
    ann = await town.account("ann")
    _, secret = await town.keys.create(actor(ann), ann, "my key")
    (kept,) = await town.keys.of_account(ann.id)
    assert secret not in repr(kept)
    assert secret.startswith(kept.start)


async def test_anothers_key_cannot_be_revoked(town: Town) -> None:
    ann, ben = await town.account("ann"), await town.account("ben")
    key, secret = await town.keys.create(actor(ann), ann, "my key")
    assert key.id is not None
    with pytest.raises(ApiKeyNotFound):
        await town.keys.revoke(actor(ben), ben.id, key.id)
    assert await town.keys.owner_of(secret) is not None


async def test_a_key_of_a_blocked_account_opens_nothing(town: Town) -> None:
    await town.first()
    ann = await town.account("ann")
    _, secret = await town.keys.create(actor(ann), ann, "my key")
    await town.accounts.change(OPERATOR, ann.id, AccountChange(is_active=False))
    assert await town.keys.owner_of(secret) is None


async def test_when_a_key_was_used_is_written_down_later(town: Town, clock: FakeClock) -> None:
    ann = await town.account("ann")
    _, secret = await town.keys.create(actor(ann), ann, "my key")
    await town.keys.owner_of(secret)
    assert (await town.keys.of_account(ann.id))[0].last_used_at is None
    await town.keys.flush()
    assert (await town.keys.of_account(ann.id))[0].last_used_at == clock.now()


# --- lost passwords ---------------------------------------------------------------------------------------------------


async def lost(town: Town, email: str = "ann@example.com") -> str | None:
    await town.logins.request_reset(email, somewhere())
    await town.logins.close()
    return town.letters.sent[-1][1] if town.letters.sent else None


async def test_a_reset_works_once_and_ends_all_logins(town: Town) -> None:
    ann = await town.account("ann")
    before = town.logins.login_of(ann).token
    token = await lost(town)
    assert token is not None
    await town.logins.reset(token, OTHER_PASSWORD, HERE)
    assert await town.logins.of_token(before) is None
    await town.logins.log_in("ann", OTHER_PASSWORD, HERE)
    with pytest.raises(CodeInvalid):
        await town.logins.reset(token, PASSWORD, HERE)


async def test_a_reset_is_good_for_an_hour(town: Town, clock: FakeClock) -> None:
    await town.account("ann")
    token = await lost(town)
    assert token is not None
    clock.move(timedelta(hours=1))
    with pytest.raises(CodeInvalid):
        await town.logins.reset(token, OTHER_PASSWORD, HERE)


async def test_a_weak_password_does_not_use_the_reset_up(town: Town) -> None:
    await town.account("ann")
    token = await lost(town)
    assert token is not None
    with pytest.raises(InvalidAccount):
        await town.logins.reset(token, "short", HERE)
    await town.logins.reset(token, OTHER_PASSWORD, HERE)


async def test_a_newer_reset_makes_the_older_void(town: Town) -> None:
    await town.account("ann")
    first, second = await lost(town), await lost(town)
    assert first is not None
    assert first != second
    with pytest.raises(CodeInvalid):
        await town.logins.reset(first, OTHER_PASSWORD, HERE)


async def test_nobody_is_written_to_where_nobody_is(town: Town) -> None:
    await town.account("ann")
    assert await lost(town, "nobody@example.com") is None


async def test_one_address_is_not_flooded_with_letters(town: Town) -> None:
    await town.account("ann")
    for _ in range(10):
        await lost(town)
    assert len(town.letters.sent) == 3


@pytest.mark.parametrize(
    "change", [AccountChange(password=OTHER_PASSWORD), AccountChange(email="new@example.com"), AccountChange(is_active=False)]
)
async def test_what_was_handed_out_before_a_change_opens_nothing(town: Town, change: AccountChange) -> None:
    await town.first()
    ann = await town.account("ann")
    link, token, code = await town.logins.sign_in_code(ann), await lost(town), await town.pairing.code_for(ann)
    await town.accounts.change(OPERATOR, ann.id, change)
    assert token is not None
    with pytest.raises(CodeInvalid):
        await town.logins.sign_in(link, HERE)
    with pytest.raises(CodeInvalid):
        await town.logins.reset(token, "yet another pass phrase", HERE)
    async with town.database.read() as transaction:
        assert await transaction.one_time_codes.get(digest_of(code.code), Purpose.PAIRING, town.clock.now()) is None


# --- one-time links ---------------------------------------------------------------------------------------------------


async def test_a_sign_in_link_works_once(town: Town) -> None:
    ann = await town.account("ann")
    code = await town.logins.sign_in_code(ann)
    login = await town.logins.sign_in(code, HERE)
    assert (login.account.id, login.claims.audience) == (ann.id, Audience.WEB)
    with pytest.raises(CodeInvalid):
        await town.logins.sign_in(code, HERE)


async def test_a_code_for_one_thing_opens_no_other(town: Town) -> None:
    ann = await town.account("ann")
    code = await town.logins.sign_in_code(ann)
    with pytest.raises(CodeInvalid):
        await town.logins.reset(code, OTHER_PASSWORD, HERE)


# --- the trail --------------------------------------------------------------------------------------------------------


async def test_what_matters_is_written_into_the_trail(town: Town) -> None:
    first = await town.first()
    ann = await town.account("ann")
    await town.accounts.change(actor(first), ann.id, AccountChange(is_active=False))
    async with town.database.read() as transaction:
        (newest, *_), count = await transaction.audit.page()
    assert (newest.action, newest.account_id, newest.subject_id, count) == (Act.BLOCKED, first.id, ann.id, 3)


# --- signing out, and what is counted -----------------------------------------------------------------------------------


async def test_a_token_that_was_signed_out_with_is_void_and_the_others_are_not(town: Town) -> None:
    account = await town.account("ann")
    gone, kept = town.logins.login_of(account, Audience.WEB), town.logins.login_of(account, Audience.WEB)
    await town.logins.log_out(gone)
    assert await town.logins.of_token(gone.token, Audience.WEB) is None
    assert await town.logins.of_token(kept.token, Audience.WEB) is not None


async def test_a_stronger_hash_does_not_bring_an_old_password_back(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    account, hashes = await town.account("ann"), town.hashes
    hash_now = hashes.hash

    async def hash_slowly(text: str) -> str:
        monkeypatch.setattr(hashes, "hash", hash_now)
        await town.accounts.change(OPERATOR, account.id, AccountChange(password=OTHER_PASSWORD))
        return await hash_now(text)

    monkeypatch.setattr(hashes, "hash", hash_slowly)
    monkeypatch.setattr(hashes, "is_outdated", lambda _: True)
    await town.logins.log_in("ann", PASSWORD, somewhere())
    with pytest.raises(WrongPassword):
        await town.logins.log_in("ann", PASSWORD, somewhere())


async def test_of_two_who_take_a_name_at_once_one_gets_it(town: Town) -> None:
    people = [await town.account(name) for name in ("ann", "ben")]
    changes = [town.accounts.change(OPERATOR, one.id, AccountChange(username="wanted")) for one in people]
    ends = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["Account", "NameTaken"]


async def test_whoever_is_at_the_machine_makes_the_first_account_without_a_code(town: Town) -> None:
    assert (await town.accounts.create(NOBODY, new("ann"), Newcomer(is_at_machine=True))).is_superuser


async def test_the_setup_code_cannot_be_tried_without_end(town: Town) -> None:
    wrong = Newcomer(setup_code="a guess", address=somewhere())
    for _ in range(20):
        with pytest.raises(SetupCodeNeeded):
            await town.accounts.create(NOBODY, new("ann"), wrong)
    with pytest.raises(TooManyTries):
        await town.accounts.create(NOBODY, new("ann"), wrong)


async def test_a_sign_in_link_tells_whose_account_it_opens_and_stays_good(town: Town) -> None:
    account = await town.account("ann")
    code = await town.logins.sign_in_code(account)
    assert (await town.logins.account_of_code(code, somewhere())).username == "ann"
    assert (await town.logins.sign_in(code, somewhere())).account.id == account.id


@pytest.mark.parametrize("email", [f"{'ΐ' * 60}@{'.'.join(['ΐ' * 18] * 3)}.com", f"{'ß' * 200}@example.com"])
async def test_an_address_that_case_folding_makes_too_long_is_refused(town: Town, email: str) -> None:
    ann = await town.account("ann")
    with pytest.raises(InvalidAccount):
        await town.accounts.create(OPERATOR, new("ben", email=email))
    with pytest.raises(InvalidAccount):
        await town.accounts.change(actor(ann), ann.id, AccountChange(email=email))


async def test_an_address_that_case_folding_makes_as_long_as_may_be_is_taken(town: Town) -> None:
    email = f"{'ΐ' * 102}@example.com.x"
    await town.accounts.create(OPERATOR, new("ann", email=email))
    assert (await town.logins.log_in(email.upper(), PASSWORD, somewhere())).account.email == email
