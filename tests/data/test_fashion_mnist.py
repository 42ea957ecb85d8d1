"""The official format, fabricated; gzipped and not, found, fetched, cached and checked."""

import gzip
import hashlib
import urllib.error
import urllib.request

import pytest
from torchvision.datasets import FashionMNIST

from gofau.data import fashion_mnist as module
from gofau.data.fashion_mnist import FOLDER, fashion_mnist
from gofau.errors import UserError
from tests.data.fashion import SIZES, files, split
from tests.data.test_cifar import Response, no_network

PACKED = {f"{name}.gz": gzip.compress(raw, mtime=0) for name, raw in files().items()}


@pytest.fixture
def official(monkeypatch):
    """The checksums of the fabricated files in the place of the official ones."""
    sums = [(name, hashlib.md5(PACKED[name]).hexdigest()) for name, _ in FashionMNIST.resources]
    monkeypatch.setattr(FashionMNIST, "resources", sums)


def check(data):
    for part, images in (("train", data.train), ("t10k", data.test)):
        pixels, labels = split(part)
        assert (images.pixels[..., 0] == pixels).all()
        assert images.labels.tolist() == labels.tolist()
    assert (data.shape, len(data.train), len(data.test)) == ((1, 28, 28), *SIZES.values())
    assert data.classes[-1] == "Ankle boot"


@pytest.mark.parametrize("below", [FOLDER, "."])
@pytest.mark.parametrize("form", [files(), PACKED], ids=["plain", "gzipped"])
def test_it_is_found_in_both_places_and_forms(official, make, tmp_path, below, form):
    make.folder(tmp_path / below, form)
    check(fashion_mnist(tmp_path, download=False))


def test_it_is_what_torchvision_reads(make, tmp_path):
    make.folder(tmp_path / FOLDER, files())
    data = fashion_mnist(tmp_path)
    reference = FashionMNIST(str(tmp_path), train=False)
    assert (reference.data.numpy() == data.test.pixels[..., 0]).all()
    assert reference.targets.tolist() == data.test.labels.tolist()
    assert tuple(reference.classes) == data.classes


def test_the_second_time_is_cached_until_a_file_changes(official, make, tmp_path, monkeypatch):
    make.folder(tmp_path / "data", PACKED)
    fashion_mnist(tmp_path / "data", tmp_path / "cache")
    read = module._read
    monkeypatch.setattr(module, "_read", None)
    check(fashion_mnist(tmp_path / "data", tmp_path / "cache"))
    monkeypatch.setattr(module, "_read", read)
    (tmp_path / "data" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"other bytes")
    with pytest.raises(UserError, match="MD5 checksum"):
        fashion_mnist(tmp_path / "data", tmp_path / "cache")


def test_damaged_files_are_told(official, make, tmp_path):
    make.folder(tmp_path, PACKED)
    victim = tmp_path / "train-images-idx3-ubyte.gz"
    victim.write_bytes(victim.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.gz has the MD5 .* delete it"):
        fashion_mnist(tmp_path)
    victim.unlink()
    raw = files()["train-images-idx3-ubyte"]
    victim.with_suffix("").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UserError, match="it is incomplete, fetch it again"):
        fashion_mnist(tmp_path)


def test_labels_that_do_not_fit_the_images(make, tmp_path):
    swapped = files() | {"train-labels-idx1-ubyte": files()["t10k-labels-idx1-ubyte"]}
    make.folder(tmp_path, swapped)
    with pytest.raises(UserError, match=r"labels must be int64 of shape \(60,\)"):
        fashion_mnist(tmp_path)


@pytest.mark.parametrize("download", [True, False])
def test_missing_files_say_what_to_fetch(official, make, tmp_path, monkeypatch, download):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    make.folder(tmp_path, {k: v for k, v in PACKED.items() if "t10k-labels" not in k})
    with pytest.raises(UserError) as error:
        fashion_mnist(tmp_path, download=download)
    message = str(error.value)
    for part in (FashionMNIST.mirrors[0], "t10k-labels-idx1-ubyte.gz", str(tmp_path), "GOFAU_DATA"):
        assert part in message
    assert "\n" not in message
    assert ("no network" in message) == download


@pytest.mark.parametrize("right", [True, False])
def test_what_is_missing_is_downloaded_and_checked(official, make, tmp_path, monkeypatch, right):
    asked = []

    def serve(request):
        asked.append(request.full_url)
        if "dead" in request.full_url:
            raise urllib.error.URLError("no such host")
        raw = PACKED[request.full_url.rsplit("/", 1)[-1]]
        return Response(raw if right else raw[:-1], request.full_url)

    monkeypatch.setattr(urllib.request, "urlopen", serve)
    mirrors = ["http://dead.example/", "http://alive.example/"]
    monkeypatch.setattr(FashionMNIST, "mirrors", mirrors)
    make.folder(tmp_path, {k: v for k, v in PACKED.items() if "t10k" not in k})
    if right:
        check(fashion_mnist(tmp_path))
        names = [f"t10k-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
        # torchvision asks twice: whether there is a redirection, and for the file.
        assert [*dict.fromkeys(asked)] == [m + name for name in names for m in mirrors]
    else:
        with pytest.raises(UserError, match="corrupted"):
            fashion_mnist(tmp_path)
        assert not any((tmp_path / FOLDER).iterdir())
