import os

import pytest

from gofau.data.source import find, fingerprint, open_source
from gofau.errors import UserError

FILES = {"train/a/1.png": b"one", "val/b.txt": b"two", "words.txt": b"three"}
HIDDEN = {".DS_Store": b"", "__MACOSX/train/._1.png": b"", "train/.git/x": b""}


@pytest.mark.parametrize("top", ["", "some-set/"])
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_folder_and_zip_read_alike(make, tmp_path, kind, top):
    files = {top + name: raw for name, raw in {**FILES, **HIDDEN}.items()}
    path = getattr(make, kind)(tmp_path / "data", files)
    with open_source(path, ("train", "val")) as source:
        assert source.files == tuple(sorted(FILES))
        assert {name: source.read(name) for name in source.files} == FILES


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_an_expected_root_is_not_stripped(make, tmp_path, kind):
    path = getattr(make, kind)(tmp_path / "data", {"train/a/1.png": b"", "train/b/": b""})
    with open_source(path, ("train", "val")) as source:
        assert source.files == ("train/a/1.png",)
        assert "train/b" in source.folders


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil", "..\\evil", "C:/x"])
def test_entries_that_point_outside_are_refused(make, tmp_path, name):
    path = make.zip(tmp_path / "evil.zip", {**FILES, name: b""})
    with (
        pytest.raises(UserError, match=r"evil\.zip has the entry .* refused"),
        open_source(path, ()),
    ):
        pass


def test_not_a_zip_and_a_truncated_zip(make, tmp_path):
    whole = make.zip(tmp_path / "whole.zip", FILES).read_bytes()
    for name, raw in {"text.zip": b"hello", "cut.zip": whole[:-30], "empty.zip": b""}.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(UserError, match=f"{name} is neither"), open_source(tmp_path / name, ()):
            pass


def test_missing_path(tmp_path):
    with pytest.raises(UserError, match="no file or folder"), open_source(tmp_path / "no", ()):
        pass


def test_a_damaged_entry_is_named(make, tmp_path):
    path = make.zip(tmp_path / "x.zip", {"train/1": b"abcdefgh" * 9})
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abcdefgX", 1))
    with (
        open_source(path, ("train",)) as source,
        pytest.raises(UserError, match=r"train/1 in .*x\.zip cannot be read: Bad CRC"),
    ):
        source.read("train/1")


def test_an_entry_with_a_password_is_named(make, tmp_path):
    path = make.zip(tmp_path / "x.zip", {"train/1": b"abc"})
    raw = bytearray(path.read_bytes())
    # The bit that says "encrypted", in the entry's own header and in the directory's copy.
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with (
        open_source(path, ("train",)) as source,
        pytest.raises(UserError, match=r"train/1 in .* encrypted"),
    ):
        source.read("train/1")


def test_links_are_followed_and_a_loop_ends(make, tmp_path):
    make.folder(tmp_path / "real", {"a/1.png": b"one"})
    data = make.folder(tmp_path / "data", {"val/b/2.png": b"two"})
    (data / "train").symlink_to(tmp_path / "real")
    (data / "val" / "loop").symlink_to(data / "val")
    with open_source(data, ("train", "val")) as source:
        assert source.files == ("train/a/1.png", "val/b/2.png")


def test_unreadable_file_in_a_folder_is_named(make, tmp_path):
    data = make.folder(tmp_path / "data", {"train/a/1.png": b"one"})
    with open_source(data, ("train",)) as source:
        (data / "train/a/1.png").unlink()
        with pytest.raises(UserError, match=r"1\.png cannot be read"):
            source.read("train/a/1.png")


def test_find_takes_the_first_that_exists(tmp_path):
    for name in ("b.zip", "c.zip"):
        (tmp_path / name).touch()
    assert find(["a.zip", "b.zip", "c.zip"], tmp_path) == tmp_path / "b.zip"
    assert find("c.zip", str(tmp_path)) == tmp_path / "c.zip"


def test_find_says_what_to_fetch_and_where_to_put_it(tmp_path):
    with pytest.raises(UserError) as error:
        find(["a.zip", "a"], tmp_path, "https://example.org/a.zip")
    message = str(error.value)
    for part in ("a.zip or a", str(tmp_path), "fetch https://example.org/a.zip", "GOFAU_DATA"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_fingerprint_follows_the_data(make, tmp_path, kind):
    path = getattr(make, kind)(tmp_path / "data", FILES)
    file = path if kind == "zip" else path / "train/a/1.png"
    before = fingerprint(path)
    assert fingerprint(path) == before
    os.utime(file, ns=(5, 5))
    touched = fingerprint(path)
    assert touched != before
    with file.open("ab") as stream:
        stream.write(b"x")
    os.utime(file, ns=(5, 5))
    assert fingerprint(path) != touched


def test_fingerprint_of_nothing(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        fingerprint(tmp_path / "no" / "file.zip")
