import logging
import os
import shutil
import threading

import numpy as np
import pytest

from gofau.data import ImageData
from gofau.data import cache as cache_module
from gofau.data.cache import cached
from gofau.errors import UserError


class Counter:
    """A decoder that counts its calls."""

    def __init__(self, make):
        self.calls = 0
        self.data = ImageData("toy", ("a", "b"), make.images([0, 1, 0]), make.images([1, 0]))

    def __call__(self):
        self.calls += 1
        return self.data


@pytest.fixture
def decode(make):
    return Counter(make)


@pytest.fixture
def load(tmp_path, decode):
    source = tmp_path / "toy.zip"
    source.write_bytes(b"source")

    def load(folder=None, decode=decode, **settings):
        place = tmp_path / "cache" if folder is None else folder
        defaults = {"cache_dir": place, "dataset": "toy", "source": source}
        return cached(decode, **{**defaults, **settings})

    return load


def entry_of(tmp_path):
    (entry,) = (tmp_path / "cache").iterdir()
    return entry


def same(one, two):
    return (
        (one.name, one.classes) == (two.name, two.classes)
        and (one.train.pixels == two.train.pixels).all()
        and (one.train.labels == two.train.labels).all()
        and (one.test.pixels == two.test.pixels).all()
        and (one.test.labels == two.test.labels).all()
    )


def test_the_second_time_nothing_is_decoded(load, decode, tmp_path):
    first, second = load(), load()
    assert decode.calls == 1
    assert same(first, second)
    assert isinstance(second.train.pixels, np.memmap)
    second.train.pixels[:] = 7  # in this process alone: the file stays as it is
    assert same(first, load())
    assert entry_of(tmp_path).name.startswith("toy-")


@pytest.mark.parametrize(
    "change", [{"dataset": "other"}, {"options": {"image_size": 8}}, {"source": "touched"}]
)
def test_another_key_is_another_entry(load, decode, tmp_path, change):
    load()
    if "source" in change:
        os.utime(tmp_path / "toy.zip", ns=(7, 7))
        change = {}
    load(**change)
    assert decode.calls == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_another_format_is_another_entry(load, decode, monkeypatch):
    load()
    monkeypatch.setattr(cache_module, "FORMAT", cache_module.FORMAT + 1)
    load()
    assert decode.calls == 2


def test_no_cache_asked_for(load, decode, tmp_path):
    cached(decode, cache_dir=None, dataset="toy", source=tmp_path / "toy.zip")
    assert not (tmp_path / "cache").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_byte(path):
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 255
    path.write_bytes(raw)


@pytest.mark.parametrize("file", ["train_pixels.npy", "test_labels.npy", "meta.json"])
@pytest.mark.parametrize("spoil", [cut, flip_a_byte, os.remove, lambda path: path.write_bytes(b"")])
def test_a_torn_entry_is_decoded_anew_and_replaced(load, decode, tmp_path, file, spoil):
    load()
    spoil(entry_of(tmp_path) / file)
    assert same(load(), decode.data)
    assert decode.calls == 2
    load()
    assert decode.calls == 2
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_foreign_entry_is_not_taken(load, decode, tmp_path):
    load()
    mine = entry_of(tmp_path)
    foreign = tmp_path / "foreign"
    mine.rename(foreign)
    load(dataset="other")
    entry_of(tmp_path).rename(mine)
    assert same(load(), decode.data)
    assert decode.calls == 3


def test_a_file_in_the_entry_s_place_is_replaced(load, decode, tmp_path):
    load()
    entry = entry_of(tmp_path)
    shutil.rmtree(entry)
    entry.write_bytes(b"not a folder")
    load()
    load()
    assert decode.calls == 2


def test_pickles_are_never_opened(load, decode, tmp_path):
    """An object array, with the right checksum, is still refused."""
    load()
    entry = entry_of(tmp_path)
    np.save(entry / "test_labels.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    meta = (entry / "meta.json").read_text()
    known = cache_module.json.loads(meta)
    known["crc32"]["test_labels"] = cache_module._checksum(entry / "test_labels.npy")
    (entry / "meta.json").write_text(cache_module.json.dumps(known))
    assert same(load(), decode.data)
    assert decode.calls == 2


def test_two_writers_at_once(load, make, tmp_path):
    """Both decode before either writes; both get the data and one entry is left."""
    barrier = threading.Barrier(2, timeout=20)
    data = Counter(make).data
    results = []

    def decode():
        barrier.wait()
        return data

    writers = [threading.Thread(target=lambda: results.append(load(decode=decode))) for _ in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(results) == 2
    assert all(same(result, data) for result in results)
    assert entry_of(tmp_path).name.startswith("toy-")
    again = Counter(make)
    assert same(load(decode=again), data)
    assert again.calls == 0


def test_an_unwritable_cache_is_a_warning(load, decode, tmp_path, caplog):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert same(load(tmp_path / "blocked" / "cache"), decode.data)
    assert "No cache was written" in caplog.text


def test_a_full_disk_is_a_warning_and_leaves_nothing(load, decode, tmp_path, caplog, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module.np, "save", full)
    with caplog.at_level(logging.WARNING):
        assert same(load(), decode.data)
    assert "No space left" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_source_is_told(decode, tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        cached(decode, cache_dir=tmp_path, dataset="toy", source=tmp_path / "no.zip")
