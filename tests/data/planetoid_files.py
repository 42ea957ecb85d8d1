"""A tiny citation network in Planetoid's files, as Python 2 wrote them."""

import hashlib
import pickle
import pickletools
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from gofau.data import planetoid

# Names of today → those of the libraries that wrote the official files.
OLD_NAMES = {
    "scipy.sparse._csr csr_matrix": b"cscipy.sparse.csr\ncsr_matrix\n",
    "numpy._core.multiarray _reconstruct": b"cnumpy.core.multiarray\n_reconstruct\n",
    "builtins list": b"c__builtin__\nlist\n",
}
# Protocol 3's byte strings and texts → the strings of Python 2, whose lengths are laid out alike.
OLD_STRINGS = {"BINBYTES": b"T", "SHORT_BINBYTES": b"U", "BINUNICODE": b"T"}
TRAIN, OTHERS, ISOLATED = 6, 510, 513
TEST = [514, 510, 515, 512, 511]
COUNT = 516


def python2(value: Any) -> bytes:
    """A pickle of protocol 2, its strings and names those of Python 2."""
    raw = pickle.dumps(value, protocol=3)
    starts = [(op.name, argument, at) for op, argument, at in pickletools.genops(raw)]
    written = []
    for (name, argument, at), (*_, end) in pairwise([*starts, ("", None, len(raw))]):
        word = raw[at:end]
        if name == "PROTO":
            word = b"\x80\x02"
        elif name == "GLOBAL":
            word = OLD_NAMES.get(str(argument), word)
        elif name in OLD_STRINGS:
            word = OLD_STRINGS[name] + word[1:]
        written.append(word)
    return b"".join(written)


class Network:
    """What is in the files, dense; node 513 is in no file of features, as some of Citeseer's."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.features = (rng.random((COUNT, 12)) < 0.3).astype(np.float32)
        self.features[:, 0] = 1
        self.labels = np.append(np.arange(TRAIN) % 3, rng.integers(0, 3, COUNT - TRAIN))
        self.features[ISOLATED] = 0
        ends = rng.integers(0, COUNT, (COUNT, 3))
        # Listed from both sides; some edges twice, and one from a node to itself.
        self.graph = defaultdict(list, {node: list(map(int, ends[node])) for node in range(COUNT)})
        self.graph[0] += [5, 5, 0]
        self.graph[ISOLATED] = []
        for ends_of in self.graph.values():
            ends_of[:] = [end for end in ends_of if end != ISOLATED]

    def adjacency(self) -> np.ndarray:
        """D^(−1/2)·(A + I)·D^(−1/2), by dense matrices."""
        a = np.zeros((COUNT, COUNT))
        for node, ends in self.graph.items():
            a[node, ends] = a[ends, node] = 1
        np.fill_diagonal(a, 1)
        scale = np.diag(a.sum(1) ** -0.5)
        return scale @ a @ scale

    def files(self, graph: str) -> dict[str, bytes]:
        one_hot = np.eye(3, dtype=np.int32)[self.labels]
        rows = scipy.sparse.csr_matrix(self.features)
        parts = {
            "allx": rows[:OTHERS],
            "ally": one_hot[:OTHERS],
            "tx": rows[TEST],
            "ty": one_hot[TEST],
            "y": one_hot[:TRAIN],
            "graph": self.graph,
        }
        files = {f"ind.{graph}.{key}": python2(part) for key, part in parts.items()}
        files[f"ind.{graph}.test.index"] = "".join(f"{node}\n" for node in TEST).encode()
        return files


def write(folder: Path, files: dict[str, bytes], monkeypatch, listed: bool = True) -> Path:
    """Write files; ``listed`` makes their checksums the official ones."""
    folder.mkdir(parents=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
        if listed:
            monkeypatch.setitem(planetoid.SHA256, name, hashlib.sha256(raw).hexdigest())
    return folder
