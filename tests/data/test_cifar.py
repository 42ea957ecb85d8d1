"""The official format, fabricated byte for byte as Python 2 wrote it."""

import hashlib
import io
import pickle
import struct
import tarfile
import urllib.error
import urllib.request

import numpy as np
import pytest
import torchvision.datasets

from gofau.data import cifar
from gofau.data.cifar import cifar10, cifar100
from gofau.errors import UserError

NAMES = {10: [f"kind{i}" for i in range(10)], 100: [f"fine{i}" for i in range(100)]}


def text(word):
    return b"U" + bytes([len(word)]) + word.encode()


def integers(values):
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def batch(data, label_key, labels):
    """A pickle of protocol 2 as cPickle wrote it: byte strings, old module names, align as 0."""
    shape = b"M" + struct.pack("<H", len(data)) + b"M\x00\x0c\x86"
    none, minus_one = b"N", b"J\xff\xff\xff\xff"
    byte = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03" + text("|") + none * 3 + minus_one * 2
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01"
    array += shape + byte + b"K\x00tb\x89T" + struct.pack("<i", data.size) + data.tobytes() + b"tb"
    return b"\x80\x02}(" + text("data") + array + text(label_key) + integers(labels) + b"u."


def meta(key, names):
    return b"\x80\x02}" + text(key) + b"](" + b"".join(map(text, names)) + b"es."


class Official:
    """The files of one of the two data sets, and the checksums as torchvision lists them."""

    def __init__(self, classes):
        kind = torchvision.datasets.CIFAR10 if classes == 10 else torchvision.datasets.CIFAR100
        self.kind, self.load = kind, cifar10 if classes == 10 else cifar100
        rng = np.random.default_rng(classes)
        self.data, self.labels, self.files = {}, {}, {}
        for name, _ in kind.train_list + kind.test_list:
            self.data[name] = rng.integers(0, 256, (3, 3072), dtype=np.uint8)
            self.labels[name] = rng.integers(0, classes, 3).tolist()
            key = "labels" if classes == 10 else "fine_labels"
            self.files[name] = batch(self.data[name], key, self.labels[name])
        self.files[kind.meta["filename"]] = meta(kind.meta["key"], NAMES[classes])

    def list_checksums(self, monkeypatch, files=None):
        sums = {name: hashlib.md5(raw).hexdigest() for name, raw in (files or self.files).items()}
        kind = self.kind
        for listed in ("train_list", "test_list"):
            monkeypatch.setattr(
                kind, listed, [[name, sums[name]] for name, _ in getattr(kind, listed)]
            )
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums[kind.meta["filename"]]})

    def write_folder(self, make, data_dir, files=None):
        return make.folder(data_dir / self.kind.base_folder, files or self.files)

    def write_archive(self, data_dir):
        data_dir.mkdir(exist_ok=True)
        with tarfile.open(data_dir / self.kind.filename, "w:gz") as archive:
            for name, raw in self.files.items():
                member = tarfile.TarInfo(f"{self.kind.base_folder}/{name}")
                member.size = len(raw)
                archive.addfile(member, io.BytesIO(raw))
        return data_dir / self.kind.filename


@pytest.fixture(params=[10, 100])
def official(request, monkeypatch):
    files = Official(request.param)
    files.list_checksums(monkeypatch)
    return files


def check(official, data):
    train = [name for name, _ in official.kind.train_list]
    rows = np.concatenate([official.data[name] for name in train])
    assert data.shape == (3, 32, 32)
    assert data.train.labels.tolist() == [x for name in train for x in official.labels[name]]
    # Row 4, red then green then blue, each row by row.
    image = data.train.pixels[2]
    assert image[5, 7].tolist() == [rows[2, plane * 1024 + 5 * 32 + 7] for plane in range(3)]
    assert len(data.test) == 3
    assert data.classes == tuple(NAMES[len(data.classes)])


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_folder_and_archive(official, make, tmp_path, form):
    if form == "folder":
        official.write_folder(make, tmp_path)
    else:
        official.write_archive(tmp_path)
    check(official, official.load(tmp_path, download=False))
    assert len(list(tmp_path.iterdir())) == 1


def test_it_is_what_torchvision_reads(official, make, tmp_path):
    official.write_folder(make, tmp_path)
    data = official.load(tmp_path)
    reference = official.kind(str(tmp_path), train=True)
    assert (reference.data == data.train.pixels).all()
    assert reference.targets == data.train.labels.tolist()
    assert tuple(reference.classes) == data.classes


def test_the_second_time_is_cached(official, make, tmp_path, monkeypatch):
    official.write_folder(make, tmp_path / "data")
    first = official.load(tmp_path / "data", tmp_path / "cache")
    monkeypatch.setattr(cifar, "_read", None)
    second = official.load(tmp_path / "data", tmp_path / "cache")
    assert (first.train.pixels == second.train.pixels).all()


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("listed", [False, True])
def test_a_foreign_pickle_is_never_run(official, make, tmp_path, monkeypatch, listed):
    """With the wrong checksum it is not opened; with the right one it may still not call things."""
    trace = tmp_path / "executed"
    name = official.kind.test_list[0][0]
    files = {**official.files, name: pickle.dumps(Evil(trace))}
    official.write_folder(make, tmp_path, files)
    if listed:
        official.list_checksums(monkeypatch, files)
        with pytest.raises(pickle.UnpicklingError, match="not allowed"):
            official.load(tmp_path)
    else:
        with pytest.raises(UserError, match=f"{name} in .* was not opened"):
            official.load(tmp_path)
    assert not trace.exists()
    pickle.loads(files[name]).close()
    assert trace.exists()


def test_damaged_data_is_told(official, make, tmp_path):
    folder = official.write_folder(make, tmp_path)
    (folder / official.kind.meta["filename"]).unlink()
    with pytest.raises(UserError, match=f"lacks the file {official.kind.meta['filename']}"):
        official.load(tmp_path)
    archive = official.write_archive(tmp_path)
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(UserError, match="not a complete"):
        official.load(tmp_path)
    archive.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="not a complete"):
        official.load(tmp_path)


def no_network(*_args, **_kwargs):
    raise urllib.error.URLError("no network")


@pytest.mark.parametrize("download", [True, False])
def test_missing_data_says_what_to_fetch(official, tmp_path, monkeypatch, download):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(UserError) as error:
        official.load(tmp_path / "data", download=download)
    message = str(error.value)
    for part in (official.kind.url, str(tmp_path / "data"), "GOFAU_DATA"):
        assert part in message
    assert "\n" not in message
    assert ("no network" in message) == download


class Response(io.BytesIO):
    """What urlopen gives: bytes, their number and the address."""

    def __init__(self, raw, url):
        super().__init__(raw)
        self.length, self.url = len(raw), url


@pytest.mark.parametrize("right", [True, False])
def test_download_checks_and_leaves_only_whole_files(official, tmp_path, monkeypatch, right):
    raw = official.write_archive(tmp_path / "server").read_bytes()
    monkeypatch.setattr(official.kind, "tgz_md5", hashlib.md5(raw).hexdigest())
    sent = raw if right else raw[:-1]
    monkeypatch.setattr(urllib.request, "urlopen", lambda request: Response(sent, request.full_url))
    if right:
        check(official, official.load(tmp_path / "data"))
    else:
        with pytest.raises(UserError, match="corrupted"):
            official.load(tmp_path / "data")
    left = [path.name for path in (tmp_path / "data").iterdir()]
    assert left == ([official.kind.filename] if right else [])
