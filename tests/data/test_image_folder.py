import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gofau.data import image_folder as module
from gofau.data.image_folder import image_folder
from gofau.errors import UserError


def layout(make, second="test", top="", **settings):
    return {
        f"{top}train/dog/b.png": make.image(4, **settings),
        f"{top}train/dog/deep/a.PNG": make.image(5, **settings),
        f"{top}train/dog/notes.txt": b"not an image",
        f"{top}train/cat/a.png": make.image(1, **settings),
        f"{top}{second}/cat/x.png": make.image(9, **settings),
        f"{top}README.md": b"about",
    }


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize("second", ["test", "val"])
@pytest.mark.parametrize("top", ["", "pets-1.0/"])
def test_layouts(make, tmp_path, kind, second, top):
    getattr(make, kind)(tmp_path / "pets.zip", layout(make, second, top))
    data = image_folder("pets.zip", data_dir=tmp_path)
    assert data.name == "pets"
    assert data.classes == ("cat", "dog")
    assert data.shape == (3, 4, 4)
    assert data.train.labels.tolist() == [0, 1, 1]
    assert data.train.pixels[:, 0, 0, 0].tolist() == [1, 4, 5]
    assert data.test.labels.tolist() == [0]
    assert data.test.pixels[0, 0, 0].tolist() == [9, 9, 9]


def test_test_is_preferred_to_val(make, tmp_path):
    make.zip(tmp_path / "x.zip", {**layout(make), "val/dog/y.png": make.image(7)})
    assert image_folder("x.zip", data_dir=tmp_path).test.labels.tolist() == [0]


def test_all_gray_stays_one_channel_and_mixed_becomes_rgb(make, tmp_path):
    gray = layout(make, mode="L")
    make.zip(tmp_path / "gray.zip", gray)
    assert image_folder("gray.zip", data_dir=tmp_path).shape == (1, 4, 4)
    make.zip(tmp_path / "mixed.zip", {**gray, "test/dog/c.png": make.image(3)})
    mixed = image_folder("mixed.zip", data_dir=tmp_path)
    assert mixed.shape == (3, 4, 4)
    assert mixed.train.pixels[:, 0, 0].tolist() == [[1] * 3, [4] * 3, [5] * 3]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_modes(make, tmp_path, mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    make.zip(tmp_path / "x.zip", layout(make, mode=mode, kind=kind))
    channels = 1 if mode in ("1", "L", "LA") else 3
    assert image_folder("x.zip", data_dir=tmp_path).shape == (channels, 4, 4)


def test_palette_with_transparency_makes_no_warning(make, tmp_path):
    stream = io.BytesIO()
    Image.new("P", (4, 4), 1).save(stream, "PNG", transparency=b"\x00\x80")
    make.zip(tmp_path / "x.zip", {**layout(make), "train/cat/p.png": stream.getvalue()})
    assert len(image_folder("x.zip", data_dir=tmp_path).train) == 4


def test_sixteen_bits_are_refused_rather_than_clipped(make, tmp_path):
    make.zip(tmp_path / "x.zip", {**layout(make), "train/cat/p.png": make.image(999, mode="I;16")})
    with pytest.raises(UserError, match=r"p\.png .*more than 8 bits"):
        image_folder("x.zip", data_dir=tmp_path)


def test_image_size_resizes_mixed_sizes(make, tmp_path):
    files = {**layout(make), "train/cat/wide.png": make.image(77, size=(9, 3))}
    make.zip(tmp_path / "x.zip", files)
    data = image_folder("x.zip", image_size=6, data_dir=tmp_path)
    assert data.shape == (3, 6, 6)
    assert (data.train.pixels[1] == 77).all()


def test_shrinking_is_antialiased(make, tmp_path):
    """A pattern of single pixels must end as its mean, not as some of its pixels."""
    pattern = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pattern).save(stream, "PNG")
    make.zip(tmp_path / "x.zip", {**layout(make, mode="L"), "train/cat/a.png": stream.getvalue()})
    small = image_folder("x.zip", image_size=8, data_dir=tmp_path).train.pixels[0]
    assert small.min() > 110
    assert small.max() < 145


def jpeg_cut(make):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()[:-300]


ERRORS = [
    ("wide", r"wide\.png .* is 9×3 .* 4×4: .*set dataset\.image_size=N"),
    ("junk", r"junk\.jpg .*cannot be decoded: not an image file"),
    ("cut", r"cut\.jpg .*cannot be decoded: .*truncated"),
    ("empty file", r"junk\.jpg .*cannot be decoded"),
    ("empty class", r"class folder train/owl in .*x.* has no images"),
    ("text class", r"class folder train/owl in .*x.* has no images"),
    ("new in test", r"has the class cats in test/ and not in train/\. Did you mean 'cat'"),
    ("one class", "only the class cat: at least 2"),
    ("no classes", "no class folders in train/"),
    ("no test", r"lacks test/|lacks val/"),
    ("no train", "lacks train/"),
    ("loose", r"train/loose\.png in .* lies in no class folder"),
]


def spoil(make, files, what):
    changes = {
        "wide": {"train/dog/wide.png": make.image(1, size=(9, 3))},
        "junk": {"train/dog/junk.jpg": b"junk"},
        "cut": {"train/dog/cut.jpg": jpeg_cut(make)},
        "empty file": {"train/dog/junk.jpg": b""},
        "empty class": {"train/owl/": b""},
        "text class": {"train/owl/readme.txt": b""},
        "new in test": {"test/cats/x.png": make.image(1)},
        "loose": {"train/loose.png": make.image(1)},
    }
    gone = {
        "one class": "train/dog",
        "no classes": "train/",
        "no test": "test",
        "no train": "train",
    }
    kept = {name: raw for name, raw in files.items() if not name.startswith(gone.get(what, "-"))}
    if what == "no classes":
        kept["train/"] = b""
        del kept["test/cat/x.png"]
        kept["test/"] = b""
    return {**kept, **changes.get(what, {})}


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize(("what", "says"), ERRORS, ids=[name for name, _ in ERRORS])
def test_each_mistake_is_one_sentence_that_names_the_file(make, tmp_path, kind, what, says):
    path = getattr(make, kind)(tmp_path / "x", spoil(make, layout(make), what))
    with pytest.raises(UserError, match=says) as error:
        image_folder(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_not_a_zip(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"junk")
    with pytest.raises(UserError, match=r"x\.zip is neither"):
        image_folder("x.zip", data_dir=tmp_path)


@pytest.mark.parametrize("size", [0, -3, 2.5])
def test_bad_image_size(tmp_path, size):
    with pytest.raises(UserError, match=r"image_size is .*null or at least 1"):
        image_folder("x.zip", image_size=size, data_dir=tmp_path)


def test_data_dir_comes_before_the_working_directory(make, tmp_path, monkeypatch):
    monkeypatch.chdir(make.folder(tmp_path / "here", {}))
    make.zip(tmp_path / "here" / "x.zip", layout(make))
    data_dir = make.folder(tmp_path / "there", {})
    assert image_folder("x.zip", data_dir=data_dir).shape == (3, 4, 4)
    make.zip(data_dir / "x.zip", layout(make, size=(2, 2)))
    assert image_folder("x.zip", data_dir=data_dir).shape == (3, 2, 2)


def test_missing_path_says_what_to_fetch_and_what_is_near(make, tmp_path):
    make.zip(tmp_path / "pets.zip", {})
    with pytest.raises(UserError) as error:
        image_folder("pest.zip", data_dir=tmp_path, url="https://example.org/p")
    for part in ("pest.zip", str(tmp_path), "https://example.org/p (as pest.zip)", "'pets.zip'"):
        assert part in str(error.value)


def test_cached_by_image_size(make, tmp_path, monkeypatch):
    make.zip(tmp_path / "x.zip", layout(make))
    settings = {"data_dir": tmp_path, "cache_dir": tmp_path / "cache"}
    first = image_folder("x.zip", image_size=3, **settings)
    assert image_folder("x.zip", image_size=5, **settings).shape == (3, 5, 5)
    monkeypatch.setattr(module, "_read", None)
    again = image_folder("x.zip", image_size=3, **settings)
    assert np.array_equal(first.train.pixels, again.train.pixels)


@given(st.data())
def test_damaged_bytes_end_in_an_image_or_one_sentence(make, tmp_path_factory, data):
    kind = data.draw(st.sampled_from(["PNG", "BMP", "PPM"]))
    raw = bytearray(make.image(7, kind=kind))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged")
    make.zip(path / "x.zip", {**layout(make), "train/cat/damaged.png": bytes(raw)})
    try:
        shape = image_folder("x.zip", data_dir=path).train.pixels.shape
    except UserError as error:
        message = str(error)
    else:
        message = "damaged.png" if shape == (4, 4, 4, 3) else f"shape {shape}"
    assert "damaged.png" in message
