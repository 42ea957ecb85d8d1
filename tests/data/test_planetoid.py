"""Planetoid's files: what is read, and that no pickle of them is a program."""

import io
import pickle
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch

from gofau.data.planetoid import NAMES, SHA256, planetoid
from gofau.errors import UserError
from tests.data.planetoid_files import COUNT, ISOLATED, OTHERS, TEST, TRAIN, Network, write

NETWORK = Network()


@pytest.mark.parametrize("graph", NAMES)
@pytest.mark.parametrize("place", ["planetoid", "{}/raw"])
def test_what_is_in_the_files(graph, place, tmp_path, monkeypatch):
    write(tmp_path / place.format(NAMES[graph]), NETWORK.files(graph), monkeypatch)
    data = planetoid(graph, tmp_path, download=False)
    assert data.name == graph
    assert data.shape == (COUNT, 12)
    assert len(data.classes) == 3
    sums = NETWORK.features.sum(1, keepdims=True)
    expected = NETWORK.features / np.where(sums == 0, 1, sums)
    np.testing.assert_allclose(data.features.tensor().to_dense(), expected, rtol=1e-6)
    np.testing.assert_allclose(data.adjacency.tensor().to_dense(), NETWORK.adjacency(), rtol=1e-6)
    known = np.arange(COUNT) != ISOLATED
    assert (data.labels.numpy() == NETWORK.labels)[known].all()
    assert data.labels[ISOLATED] == -1
    assert data.train.tolist() == list(range(TRAIN))
    assert data.validation.tolist() == list(range(TRAIN, TRAIN + 500))
    assert data.test.tolist() == sorted(TEST)
    assert TRAIN + 500 < OTHERS


def test_tensors_are_sparse_and_hold_no_zero(tmp_path, monkeypatch):
    write(tmp_path / "planetoid", NETWORK.files("cora"), monkeypatch)
    data = planetoid("cora", tmp_path, download=False)
    for tensor in (data.features.tensor(), data.adjacency.tensor()):
        assert tensor.layout == torch.sparse_coo
        assert tensor.dtype == torch.float32
        assert tensor.is_coalesced()
        assert tensor.values().all()


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("listed", [False, True])
def test_a_foreign_pickle_is_never_run(tmp_path, monkeypatch, listed):
    """With the wrong checksum it is not opened; with the right one it may still not call things."""
    trace = tmp_path / "executed"
    folder = write(tmp_path / "planetoid", NETWORK.files("cora"), monkeypatch)
    evil = pickle.dumps(Evil(trace), protocol=2)
    (folder / "ind.cora.graph").unlink()
    (folder / "ind.cora.ally").unlink()
    parts = {"ind.cora.graph": evil, "ind.cora.ally": evil}
    for name, raw in parts.items():
        (folder / name).write_bytes(raw)
    if listed:
        write(tmp_path / "aside", parts, monkeypatch)  # now these are the official checksums
        with pytest.raises(pickle.UnpicklingError, match="open is not allowed"):
            planetoid("cora", tmp_path)
    else:
        with pytest.raises(UserError, match=r"ind\.cora\.ally has the SHA-256 .* not opened"):
            planetoid("cora", tmp_path)
    assert not trace.exists()
    pickle.loads(evil).close()
    assert trace.exists()


def test_damaged_files_are_told(tmp_path, monkeypatch):
    folder = write(tmp_path / "planetoid", NETWORK.files("cora"), monkeypatch)
    file = folder / "ind.cora.tx"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"ind\.cora\.tx has the SHA-256 .* fetch https.*cora\.tx"):
        planetoid("cora", tmp_path)
    file.unlink()
    with pytest.raises(UserError, match=r"ind\.cora\.tx cannot be read .* fetch https.*cora\.tx"):
        planetoid("cora", tmp_path)


def test_an_unknown_graph_names_the_nearest():
    with pytest.raises(
        UserError, match=r"one of cora, citeseer, not 'corra'\. Did you mean 'cora'"
    ):
        planetoid("corra")


def no_network(*_args, **_kwargs):
    raise urllib.error.URLError("no network")


@pytest.mark.parametrize("download", [True, False])
def test_missing_files_say_what_to_fetch(tmp_path, monkeypatch, download):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(UserError) as error:
        planetoid("citeseer", tmp_path / "data", download=download)
    message = str(error.value)
    for part in (
        "every ind.citeseer.*",
        "tkipf/gcn",
        str(tmp_path / "data/planetoid"),
        "GOFAU_DATA",
    ):
        assert part in message
    assert "\n" not in message
    assert ("no network" in message) == download


class Response(io.BytesIO):
    """What urlopen gives: bytes, their number and the address."""

    def __init__(self, raw, url):
        super().__init__(raw)
        self.length, self.url = len(raw), url


@pytest.mark.parametrize("right", [True, False])
def test_download_checks_and_leaves_only_whole_files(tmp_path, monkeypatch, right):
    files = NETWORK.files("cora")
    write(tmp_path / "server", files, monkeypatch)

    def serve(request):
        raw = files[request.full_url.rsplit("/", 1)[-1]]
        return Response(raw if right else raw[:-1], request.full_url)

    monkeypatch.setattr(urllib.request, "urlopen", serve)
    place = tmp_path / "data" / "planetoid"
    if right:
        assert planetoid("cora", tmp_path / "data").shape == (COUNT, 12)
    else:
        with pytest.raises(UserError, match="its sha256 is"):
            planetoid("cora", tmp_path / "data")
    assert sorted(path.name for path in place.iterdir()) == (sorted(files) if right else [])


def test_every_official_file_has_a_checksum():
    assert len(SHA256) == 14
    assert all(len(digest) == 64 for digest in SHA256.values())
