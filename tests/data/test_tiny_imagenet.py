import urllib.error
import urllib.request

import numpy as np
import pytest

from gofau.data import tiny_imagenet as module
from gofau.data.tiny_imagenet import locate, tiny_imagenet
from gofau.errors import UserError

TOP = "tiny-imagenet-200/"


@pytest.fixture
def files(make):
    """Two classes, not in order, with 2 and 1 training images; one training image is gray."""
    return {
        TOP + "wnids.txt": b"n02\nn01\n",
        TOP + "words.txt": b"n00\tentity\nn01\tgoldfish, Carassius auratus\n",
        TOP + "train/n02/images/n02_0.JPEG": make.image(200, kind="JPEG"),
        TOP + "train/n02/n02_boxes.txt": b"n02_0.JPEG\t0\t0\t3\t3\n",
        TOP + "train/n01/images/n01_0.JPEG": make.image(50, mode="L", kind="JPEG"),
        TOP + "train/n01/images/n01_10.JPEG": make.image(100, kind="JPEG"),
        TOP + "val/images/val_0.JPEG": make.image(10, kind="JPEG"),
        TOP + "val/images/val_1.JPEG": make.image(20, mode="L", kind="JPEG"),
        TOP + "val/val_annotations.txt": (
            b"val_1.JPEG\tn01\t0\t0\t3\t3\nval_0.JPEG\tn02\t0\t0\t3\t3\n"
        ),
        TOP + "test/images/test_0.JPEG": make.image(0, kind="JPEG"),
    }


@pytest.mark.parametrize("archive", ["tiny-imagenet-200.zip", "tiny-imagenet-200"])
def test_zip_and_folder(make, files, tmp_path, archive):
    if archive.endswith(".zip"):
        make.zip(tmp_path / archive, files)
    else:
        make.folder(tmp_path, files)
    data = tiny_imagenet(data_dir=tmp_path, download=False)
    assert data.shape == (3, 4, 4)
    assert data.name == "tiny-imagenet-200"
    assert data.classes == ("goldfish, Carassius auratus", "n02")
    assert data.train.labels.tolist() == [0, 0, 1]
    assert data.train.pixels[:, 0, 0].tolist() == [[50] * 3, [100] * 3, [200] * 3]
    assert data.test.labels.tolist() == [1, 0]
    assert data.test.pixels[:, 0, 0, 0].tolist() == [10, 20]


def test_a_subset_is_found_last_and_says_so(make, files, tmp_path):
    subset = make.zip(tmp_path / "tiny-imagenet-200-subset150.zip", files)
    assert locate(data_dir=tmp_path) == subset
    assert tiny_imagenet(data_dir=tmp_path).name == "tiny-imagenet-200-subset150"
    full = make.zip(tmp_path / "tiny-imagenet-200.zip", files)
    assert locate(data_dir=tmp_path) == full


def test_cached(make, files, tmp_path, monkeypatch):
    make.zip(tmp_path / "tiny-imagenet-200.zip", files)
    first = tiny_imagenet(data_dir=tmp_path, cache_dir=tmp_path / "cache")
    monkeypatch.setattr(module, "_read", None)
    second = tiny_imagenet(data_dir=tmp_path, cache_dir=tmp_path / "cache")
    assert np.array_equal(first.test.pixels, second.test.pixels)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"val/val_annotations.txt": None}, r"lacks val/val_annotations\.txt"),
        ({"val/val_annotations.txt": b"val_0.JPEG\tn02\n"}, r"val_1\.JPEG .* has no line in"),
        (
            {"val/val_annotations.txt": b"val_0.JPEG\tn02\nval_1.JPEG\tn09\n"},
            r"val_1\.JPEG .* class without images, n09",
        ),
        ({"val/images/val_0.JPEG": b"junk"}, r"val_0\.JPEG .*not an image file"),
        (
            {"val/images/val_0.JPEG": None, "val/images/val_1.JPEG": None},
            "official layout",
        ),
    ],
)
def test_damaged_data_is_told(make, files, tmp_path, change, says):
    files.update({TOP + name: raw for name, raw in change.items()})
    make.zip(
        tmp_path / "tiny-imagenet-200.zip",
        {name: raw for name, raw in files.items() if raw is not None},
    )
    with pytest.raises(UserError, match=says):
        tiny_imagenet(data_dir=tmp_path)


@pytest.mark.parametrize("download", [True, False])
def test_missing_data_says_what_to_fetch(tmp_path, monkeypatch, download):
    def no_network(*_args, **_kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(UserError) as error:
        tiny_imagenet(data_dir=tmp_path, download=download)
    for part in (module.URL, str(tmp_path), "GOFAU_DATA"):
        assert part in str(error.value)
