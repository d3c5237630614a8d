"""`Seal`: what was sealed opens as it was, for whom and for what it was sealed, or not at all."""

import random
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from antiphon.errors import ConfigurationError, RequestError

if TYPE_CHECKING:  # a checker finds what stands behind a door at the root
    from provider.seal import MAX_PLAIN, MAX_SEALED, PREFIX, Purpose, Seal
else:
    from antiphon.provider.seal import MAX_PLAIN, MAX_SEALED, PREFIX, Purpose, Seal

KEY = "one-key-of-more-than-32-characters"
OTHER = "another-key-of-more-than-32-characters"
SEAL = Seal([KEY])
PURPOSES: st.SearchStrategy[Purpose] = st.sampled_from(["reasoning", "compaction"])
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. \n"


def opened(sealed: str, *, seal: Seal = SEAL, principal: str = "alice") -> bytes:
    return seal.open(sealed, principal=principal, purpose="reasoning", param="input[3].x")


def sealed(data: bytes, *, seal: Seal = SEAL, principal: str = "alice") -> str:
    return seal.seal(data, principal=principal, purpose="reasoning")


def refused(text: str, *, seal: Seal = SEAL, principal: str = "alice") -> RequestError:
    with pytest.raises(RequestError) as caught:
        opened(text, seal=seal, principal=principal)
    assert (caught.value.status, caught.value.code) == (400, "invalid_encrypted_content")
    assert caught.value.param == "input[3].x"
    return caught.value


# --- what comes back ---------------------------------------------------------


@given(st.binary(max_size=2000), st.text(), PURPOSES)
def test_what_was_sealed_opens_as_it_was(data: bytes, principal: str, purpose: Purpose) -> None:
    text = SEAL.seal(data, principal=principal, purpose=purpose)
    assert text.startswith(PREFIX)
    assert SEAL.open(text, principal=principal, purpose=purpose) == data


@given(st.binary(max_size=200))
def test_the_same_is_sealed_in_the_same_words(data: bytes) -> None:
    assert sealed(data) == sealed(data)
    assert sealed(data) != sealed(data + b".")


def test_nothing_of_it_can_be_read() -> None:
    assert "secret" not in sealed(b"secret" * 100)
    assert len(sealed(b"secret" * 1000)) < 200  # it is compressed before it is sealed


# --- what does not -----------------------------------------------------------


@given(st.binary(max_size=300), st.data())
def test_no_changed_character_is_overlooked(data: bytes, draw: st.DataObject) -> None:
    text = sealed(data)
    at = draw.draw(st.integers(0, len(text) - 1))
    other = draw.draw(st.sampled_from(ALPHABET).filter(lambda one: one != text[at]))
    refused(text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize("data", [b"", b"1", b"12"])
def test_no_other_spelling_of_the_same_bytes_is_taken(data: bytes) -> None:
    """Base64 has several last characters for the same bytes."""
    text = sealed(data)
    for last in ALPHABET.replace(text[-1], ""):
        refused(text[:-1] + last)


@given(st.binary(max_size=300), st.integers(1, 40), st.text(ALPHABET, min_size=1, max_size=5))
def test_nothing_may_be_taken_off_or_put_on(data: bytes, less: int, more: str) -> None:
    text = sealed(data)
    refused(text[:-less])
    refused(text + more)
    refused(more + text)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_halves_of_two_do_not_make_one(one: bytes, two: bytes) -> None:
    first, second = sealed(b"1" + one), sealed(b"2" + two)
    at = min(len(first), len(second)) // 2
    refused(first[:at] + second[at:])


@settings(max_examples=50)
@given(st.text() | st.text(ALPHABET).map(lambda text: PREFIX + text))
def test_whatever_else_somebody_sends_is_refused(text: str) -> None:
    refused(text)


@given(st.text(), st.text())
def test_nobody_opens_what_is_anothers(one: str, two: str) -> None:
    text = sealed(b"x", principal=one)
    if one != two:
        refused(text, principal=two)


def test_what_is_for_one_place_does_not_open_in_another() -> None:
    text = SEAL.seal(b"x", principal="alice", purpose="compaction")
    refused(text)
    assert SEAL.open(text, principal="alice", purpose="compaction") == b"x"


def test_the_refusal_does_not_tell_why() -> None:
    text = sealed(b"x")
    reasons = {
        refused(text, principal="mallory").message,
        refused(text[:-3]).message,
        refused(sealed(b"x", seal=Seal([OTHER]))).message,
    }
    assert len(reasons) == 1


# --- keys --------------------------------------------------------------------


def test_the_first_key_seals_and_all_of_them_open() -> None:
    before, after = Seal([OTHER]), Seal([KEY, OTHER])
    assert opened(sealed(b"x", seal=before), seal=after) == b"x"
    assert sealed(b"x", seal=after) == sealed(b"x", seal=SEAL)
    refused(sealed(b"x", seal=after), seal=before)


def test_what_a_dropped_key_sealed_is_gone() -> None:
    refused(sealed(b"x", seal=Seal([OTHER])), seal=Seal([KEY]))


def test_keys_may_come_as_one_text() -> None:
    assert sealed(b"x", seal=Seal(f" {KEY} ,{OTHER}")) == sealed(b"x", seal=SEAL)
    assert opened(sealed(b"x", seal=Seal(OTHER)), seal=Seal(f"{KEY},{OTHER}")) == b"x"


def test_without_keys_each_process_has_its_own() -> None:
    mine, yours = Seal(), Seal()
    assert opened(sealed(b"x", seal=mine), seal=mine) == b"x"
    refused(sealed(b"x", seal=mine), seal=yours)
    assert (mine.lasting, SEAL.lasting) == (False, True)


@pytest.mark.parametrize("keys", ["", "short", f"{KEY},", [], [KEY, "hunter2"], f"{KEY},hunter2"])
def test_a_weak_key_is_a_start_error_that_does_not_show_it(keys: str | list[str]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"at least 32 characters.*make one with"
    ) as caught:
        Seal(keys)
    assert "hunter2" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_no_key_is_kept_as_it_was_given() -> None:
    held = repr(vars(Seal([KEY, OTHER])))
    assert KEY not in held
    assert repr(Seal([KEY, OTHER])) == "<Seal with 2 keys>"


# --- size --------------------------------------------------------------------


def test_what_is_too_large_is_not_sealed() -> None:
    with pytest.raises(ValueError, match="at most 16,777,216 bytes to seal, got 16,777,217"):
        sealed(b"x" * (MAX_PLAIN + 1))


def test_what_would_be_too_long_for_the_wire_is_not_sealed() -> None:
    noise = random.Random(0).randbytes(8_000_000)  # nothing to compress
    with pytest.raises(ValueError, match="characters when sealed"):
        sealed(noise)
    refused(PREFIX + "A" * MAX_SEALED)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the holder of a key could make one; even then memory is bounded."""
    bomb = zlib.compress(b"\0" * (MAX_PLAIN + 1))

    def pack(data: bytes) -> bytes:
        return bomb

    with monkeypatch.context() as patch:
        patch.setattr(zlib, "compress", pack)
        text = sealed(b"x")
    assert len(text) < 30_000
    refused(text)


# --- the library -------------------------------------------------------------


def test_without_the_library_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        assert name == "cryptography"

    monkeypatch.setattr("antiphon.provider.seal.find_spec", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'antiphon\[server\]'"):
        Seal([KEY])
    without = Seal()
    assert not without.available
    with pytest.raises(ConfigurationError, match=r"pip install 'antiphon\[server\]'"):
        sealed(b"x", seal=without)
    refused(sealed(b"x"), seal=without)


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    code = (
        "import sys; from antiphon.provider.seal import Seal; seal = Seal('k' * 32)\n"
        "assert 'cryptography' not in sys.modules\n"
        "seal.seal(b'x', principal='p', purpose='reasoning')\n"
        "assert 'cryptography' in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)
