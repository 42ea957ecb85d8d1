"""Text: parts, blocks, the official file, the grammar."""

import hashlib
import math
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import pytest
import torch

from gofau.data import tiny_shakespeare as module
from gofau.data.grammar import GRAMMAR, grammar
from gofau.data.text import Blocks, split_text
from gofau.data.tiny_shakespeare import tiny_shakespeare
from gofau.errors import UserError

TEXT = "to be, or not to be: that is the question.\n" * 3


def decoded(data, codes):
    return "".join(data.symbols[code] for code in codes)


def test_the_parts_are_the_text():
    data = split_text("hamlet", TEXT, val_fraction=0.1, test_fraction=0.2)
    assert data.symbols == "".join(sorted(set(TEXT)))
    assert "".join(decoded(data, part) for part in (data.train, data.validation, data.test)) == TEXT
    assert [len(data.validation), len(data.test)] == [13, 26]
    assert {part.dtype for part in (data.train, data.validation, data.test)} == {np.dtype("uint8")}


def test_256_characters_are_possible_and_no_more():
    text = "".join(map(chr, range(256)))
    data = split_text("bytes", text, 0.1, 0.1)
    assert decoded(data, data.train) == text[: len(data.train)]
    with pytest.raises(UserError, match="runes has 257 different characters; at most 256"):
        split_text("runes", text + "ᚠ", 0.1, 0.1)


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (0.001, 0.1), (0.1, 0.0), (0.9, 0.4)])
def test_no_part_is_empty(val, test):
    with pytest.raises(UserError, match=r"divide 129 characters into parts of .* at least 2"):
        split_text("hamlet", TEXT, val, test)


def blocks(count=100, **changes):
    keys: dict[str, Any] = {"context": 7, "batch_size": 4} | changes
    return Blocks(np.arange(count, dtype=np.uint8), **keys)


def test_a_part_is_read_whole_and_in_order():
    whole = blocks()
    batches = list(whole.epoch())
    x, y = (torch.cat(each) for each in zip(*batches, strict=True))
    assert x.dtype == y.dtype == torch.int64
    assert torch.equal(x.flatten(), torch.arange(98))
    assert torch.equal(y, x + 1)
    assert [len(x) for x, _ in batches] == [4, 4, 4, 2]
    assert [whole.count(batch) for batch in range(len(whole))] == [4, 4, 4, 2]
    assert torch.equal(next(whole.epoch(epoch=5))[0], batches[0][0])


@pytest.mark.parametrize("count", [8, 14, 15])
def test_every_block_has_a_character_after_it(count):
    assert sum(len(x) for x, _ in blocks(count).epoch()) == (2 if count == 15 else 1)


def test_random_places_are_decided_by_seed_and_epoch():
    def places(epoch, **keys):
        loader = blocks(100, blocks=4000, batch_size=1000, **keys)
        return torch.cat([x[:, 0] for x, _ in loader.epoch(epoch)])

    first = places(0)
    assert torch.equal(first, places(0))
    assert not torch.equal(first, places(1))
    assert not torch.equal(first, places(0, seed=1))
    # Every place from which a block and the character after it can be read, and no other.
    assert sorted(set(first.tolist())) == list(range(93))


def test_an_epoch_goes_on_where_it_was_left():
    loader = blocks(blocks=10)
    whole = list(loader.epoch(3))
    for start in range(4):
        rest = list(loader.epoch(3, start))
        assert len(rest) == 3 - start
        for (x, y), (x_rest, y_rest) in zip(whole[start:], rest, strict=True):
            assert torch.equal(x, x_rest)
            assert torch.equal(y, y_rest)


@pytest.mark.parametrize("drawn", [None, 10])
def test_processes_share_every_batch(drawn):
    whole = list(blocks(blocks=drawn).epoch(2))
    shares = [list(blocks(blocks=drawn, share=(rank, 2)).epoch(2)) for rank in range(2)]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        for rank, part in enumerate(parts):
            assert torch.equal(batch[0][rank::2], part[0])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"context": 0}, "context is 0; it must be an integer ≥ 1"),
        ({"batch_size": 1.5}, r"batch_size is 1\.5"),
        ({"blocks": -2}, "blocks is -2"),
        ({"seed": -1}, "seed of the blocks is -1"),
        ({"context": 100}, "A block of 100 characters and the one after it .* part of 100"),
        ({"share": (0, 3)}, r"smallest batch has 2 block\(s\), fewer than the 3 processes"),
    ],
)
def test_blocks_refuse(keys, words):
    with pytest.raises(UserError, match=words):
        blocks(**keys)


@pytest.fixture
def official(tmp_path, monkeypatch):
    """The text above in the place of the official file."""
    raw = TEXT.encode()
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_bytes(raw)
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(raw).hexdigest())
    return tmp_path


def test_tiny_shakespeare_is_the_official_file_or_none(official):
    data = tiny_shakespeare(0.1, 0.1, data_dir=official, download=False)
    assert decoded(data, data.train) == TEXT[: len(data.train)]
    file = official / "tinyshakespeare" / "input.txt"
    file.write_bytes(file.read_bytes() + b"!")
    with pytest.raises(UserError, match=r"input\.txt has the SHA-256 checksum .* delete it"):
        tiny_shakespeare(data_dir=official)


@pytest.mark.parametrize("download", [True, False])
def test_a_missing_file_says_what_to_fetch(tmp_path, monkeypatch, download):
    def no_network(*_args, **_kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(UserError) as error:
        tiny_shakespeare(data_dir=tmp_path, download=download)
    for part in (module.URL, str(tmp_path / "tinyshakespeare"), "GOFAU_DATA"):
        assert part in str(error.value)
    assert ("no network" in str(error.value)) == download


def test_the_grammar_s_text_is_the_same_everywhere():
    data = grammar()
    whole = np.concatenate([data.train, data.validation, data.test])
    digest = hashlib.sha256(decoded(data, whole).encode()).hexdigest()
    assert digest == "d3a46d0a08b3c1463a8d0510f63833e9864a07f56272f7344f9b964a904c91f5"
    assert len(whole) == 100_000
    assert grammar(1000, text_seed=1).train.tolist() != grammar(1000).train.tolist()


def entropy():
    """Bits per character, by the chain of states: expected bits over expected characters."""
    names = list(GRAMMAR)
    move, bits, length = np.zeros((7, 7)), np.zeros(7), np.zeros(7)
    for i, ways in enumerate(GRAMMAR.values()):
        for text, state, weight in ways:
            p = weight / sum(weight for *_, weight in ways)
            move[i, names.index(state)] += p
            bits[i] -= p * math.log2(p)
            length[i] += p * len(text)
    share = np.linalg.matrix_power(move, 4096)[0]
    return share @ bits / (share @ length)


def test_the_grammar_s_entropy_is_as_documented():
    for ways in GRAMMAR.values():  # or the text would not tell which way was taken
        texts = [text for text, *_ in ways]
        assert not any(a != b and b.startswith(a) for a in texts for b in texts)
    assert entropy() == pytest.approx(0.429, abs=5e-4)
    assert "0.429 bits per character" in (grammar.__doc__ or "")


@pytest.mark.parametrize("characters", [0, 2.5])
def test_the_grammar_refuses(characters):
    with pytest.raises(UserError, match="characters must be an integer of at least 1"):
        grammar(characters)
