"""Cora and Citeseer in the files of Planetoid, with their public split."""

import hashlib
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gofau.data.fetch import fetch
from gofau.data.graph import NO_LABEL, GraphData, Sparse, normalised_adjacency, row_normalised
from gofau.data.pickles import ARRAYS, unpickle
from gofau.data.source import find
from gofau.errors import UserError, nearest

URL = "https://github.com/tkipf/gcn/raw/master/gcn/data"
VALIDATION = 500  # nodes; they follow the training nodes
# The names that torch_geometric uses, whose folders are read as well.
NAMES = {"cora": "Cora", "citeseer": "CiteSeer"}
SHA256 = {
    "ind.citeseer.allx": "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668",
    "ind.citeseer.ally": "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95",
    "ind.citeseer.graph": "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7",
    "ind.citeseer.test.index": "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4",
    "ind.citeseer.tx": "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21",
    "ind.citeseer.ty": "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce",
    "ind.citeseer.y": "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924",
    "ind.cora.allx": "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543",
    "ind.cora.ally": "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71",
    "ind.cora.graph": "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d",
    "ind.cora.test.index": "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875",
    "ind.cora.tx": "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a",
    "ind.cora.ty": "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad",
    "ind.cora.y": "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1",
}
_FILES = ("allx", "ally", "graph", "test.index", "tx", "ty", "y")


def planetoid(
    graph: str = "cora",
    data_dir: str | Path = "data",
    cache_dir: str | Path | None = None,
    download: bool = True,
) -> GraphData:
    """A citation network: nodes are papers, edges citations, features the words that occur.

    Cora has 2,708 papers, 1,433 words and 7 classes, Citeseer 3,327, 3,703 and 6. The split is the
    public one: the first 20 papers of each class for training, the next 500 for validation, and
    1,000 listed ones for testing. Each row of features is divided by its sum. Citeseer's 15 papers
    without words (in the graph, but in no file of features) are rows of zeros without a label.

    Args:
        graph: ``cora`` or ``citeseer``.
        data_dir: holds ``planetoid/ind.cora.x`` and so on, or torch_geometric's ``Cora/raw/``.
        cache_dir: accepted because every data set is called with it; not used, reading is quick.
        download: fetch the files (0.5 to 1 MB) when they are missing.

    Raises:
        UserError: an unknown graph, files that are missing and cannot be downloaded, or a file that
            is not the official one.

    Sources: Sen et al., AI Magazine 29, 2008 (the networks); Yang, Cohen, Salakhutdinov, arXiv
    1603.08861 (files and split).

    Example: ``planetoid("cora", "data")``
    """
    if graph not in NAMES:
        known = ", ".join(NAMES)
        raise UserError(f"graph must be one of {known}, not {graph!r}.{nearest(graph, NAMES)}")
    folder = _locate(graph, data_dir, download)
    files = {key: _read(folder, f"ind.{graph}.{key}") for key in _FILES}
    test = np.array(files.pop("test.index").split(), dtype=np.int64)
    # All checksums are verified here. In addition, unpickling can call only what _ALLOWED names.
    data = _assemble(graph, {key: unpickle(raw, _ALLOWED) for key, raw in files.items()}, test)
    return replace(data, source=[folder / f"ind.{graph}.{key}" for key in _FILES])


def _locate(graph: str, data_dir: str | Path, download: bool) -> Path:
    file = f"ind.{graph}.graph"
    places = [f"planetoid/{file}", f"{NAMES[graph]}/raw/{file}"]
    what = f"every ind.{graph}.* of {URL}"
    try:
        return find(places, data_dir, what, "planetoid").parent
    except UserError as missing:
        if not download:
            raise
        try:
            for name in (f"ind.{graph}.{key}" for key in _FILES):
                fetch(f"{URL}/{name}", SHA256[name], data_dir, "planetoid")
        except UserError as error:
            # The error names one file, but all of them are needed.
            raise UserError(
                f"The download failed ({error.__cause__}), and t{str(missing)[1:]}"
            ) from error
    return Path(data_dir).expanduser() / "planetoid"


def _read(folder: Path, file: str) -> bytes:
    again = f"fetch {URL}/{file} and put it in {folder}."
    try:
        raw = (folder / file).read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{folder / file} cannot be read ({reason}): {again}") from error
    digest = hashlib.sha256(raw).hexdigest()
    if digest != SHA256[file]:
        raise UserError(
            f"{folder / file} has the SHA-256 checksum {digest}, not the official {SHA256[file]},"
            f" and was not opened: {again}"
        )
    return raw


class _Rows:
    """Stands in for scipy's matrix of compressed rows (CSR): the pickle sets its ``__dict__``, and
    scipy is neither needed nor called."""

    _shape: tuple[int, int]
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    def entries(self, nodes: np.ndarray) -> tuple[Tensor, Tensor]:
        """Places, shape (2, entries), and values; row k belongs to the node ``nodes[k]``."""
        rows = np.repeat(nodes, np.diff(self.indptr))
        return torch.from_numpy(np.stack([rows, self.indices])), torch.from_numpy(self.data)


_ALLOWED = {
    **ARRAYS,
    ("scipy.sparse.csr", "csr_matrix"): _Rows,
    ("collections", "defaultdict"): defaultdict,
    ("__builtin__", "list"): list,
}


def _assemble(graph: str, raw: dict[str, Any], test: np.ndarray) -> GraphData:
    # allx and ally describe all nodes but those of the test part; tx and ty these, in the order of
    # ``test``. The test nodes have the highest numbers; those left out among them have no features.
    others = np.arange(len(raw["ally"]))
    count = int(test.max()) + 1
    labels = np.full(count, NO_LABEL)
    labels[others], labels[test] = raw["ally"].argmax(1), raw["ty"].argmax(1)
    places, values = zip(raw["allx"].entries(others), raw["tx"].entries(test), strict=True)
    shape = (count, raw["tx"]._shape[1])
    features = Sparse(torch.cat(places, 1), torch.cat(values), shape)
    edges = [(node, other) for node, ends in raw["graph"].items() for other in ends]
    train = len(raw["y"])
    return GraphData(
        graph,
        tuple(str(number) for number in range(raw["ally"].shape[1])),  # the files name no class
        row_normalised(features),
        normalised_adjacency(torch.tensor(edges).T, count),
        torch.from_numpy(labels),
        torch.arange(train),
        torch.arange(train, train + VALIDATION),
        torch.from_numpy(test).sort().values,
    )
