"""The compiler and the folder of compiled steps, sabotaged: the step is right or the sentence is
clear, and no process dies."""

import concurrent.futures
import contextlib
import ctypes
import errno
import logging
import os
import pwd
import select
import shlex
import stat
import subprocess
import sys
import tempfile
import threading
import time

import pytest
import torch

import gofau.optim as optim
from gofau.optim.execution.native import cache, compiler, kernels

needs_compiler = pytest.mark.skipif(compiler.find() is None, reason="no C compiler")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
SOMEBODY = 54321
CODE = "int gofau_answer(void) { return 42; }"
STEP = """
import torch, gofau.optim
p = torch.tensor([1.0, 2.0], requires_grad=True)
p.grad = torch.ones(2)
gofau.optim.SGD([p], lr=0.5, fused=True, rule="additive").step()
assert p.tolist() == [0.5, 1.5], p
from gofau.optim.execution.native import kernels
assert any(kernel is not None for kernel in kernels._kernels.values()), "no kernel took the step"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache and a temporary folder of the test's own; nothing may be left in the latter."""
    temporary = tmp_path / "temporary"
    temporary.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "_kernels", {})
    cache.log_once.cache_clear()
    yield tmp_path
    assert list(temporary.iterdir()) == []


@pytest.fixture
def kept(home):
    """The file that holds `CODE`'s library."""
    assert answer() == 42
    [path] = cache.cache_folder().iterdir()
    return path


@pytest.fixture
def payload(home):
    """A library, sealed as ours are, that says so in a file when it is loaded."""
    mark = home / "the payload ran"
    code = f"""#include <stdio.h>
    __attribute__((constructor)) static void run(void) {{ fclose(fopen("{mark}", "w")); }}
    int gofau_answer(void) {{ return 666; }}"""
    command = compiler.find()
    assert command is not None
    yield cache._sealed(compiler._compile(command, code))
    assert not mark.exists()


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Set CC, or write a program and set CC to it, and let it be found."""

    def use(cc=None, *, script=None):
        if script is not None:
            cc = tmp_path / "my-cc"
            cc.write_text(script)
            cc.chmod(0o700)
        monkeypatch.setenv("CC", str(cc))
        compiler.find.cache_clear()
        return str(cc)

    yield use
    compiler.find.cache_clear()


def answer(code=CODE):
    return compiler.load(code).gofau_answer()


def assert_whole(path):
    content = path.read_bytes()
    assert content == cache._sealed(content[: -cache._DIGEST])
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert path.lstat().st_uid == os.geteuid()


def take_step():
    """Of a parameter for which a kernel is worth it unasked: who asks for one and does not get it
    is warned, which is not what is tested here."""
    p = torch.ones(1 << 18, requires_grad=True)
    p.grad = torch.ones(1 << 18)
    optim.SGD([p], lr=0.5, rule="additive").step()
    assert (p == 0.5).all()


# The file


@needs_compiler
def test_a_library_cut_off_kills_no_process_and_is_replaced(home):
    take_step()
    [path] = cache.cache_folder().iterdir()
    os.truncate(path, 4000)
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert_whole(path)
    assert list(path.parent.iterdir()) == [path]


def _flip(path, payload):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _link(path, payload):
    other = path.parents[3] / "other.so"
    other.write_bytes(payload)
    other.chmod(0o600)
    path.unlink()
    path.symlink_to(other)


def _second_name(path, payload):
    path.write_bytes(payload)
    os.link(path, path.parents[3] / "second.so")


def _writable(path, payload):
    path.write_bytes(payload)
    path.chmod(0o602)


def _somebodys(path, payload):
    path.write_bytes(payload)
    os.chown(path, SOMEBODY, SOMEBODY)


def _pipe(path, payload):
    path.unlink()
    os.mkfifo(path, 0o600)


def _huge(path, payload):
    os.truncate(path, 1 << 40)


SABOTAGE = {
    "empty": (lambda path, payload: path.write_bytes(b""), "is broken"),
    "one bit": (_flip, "is broken"),
    "no checksum": (lambda path, payload: path.write_bytes(payload[:-32]), "is broken"),
    "link": (_link, "symbolic link"),
    "two names": (_second_name, "not a plain file"),
    "writable by others": (_writable, "has mode 602: others can write to it"),
    "a pipe": (_pipe, "not a plain file"),
    "huge": (_huge, "not a plain file"),
}


@needs_compiler
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        *(pytest.param(*case, id=name) for name, case in SABOTAGE.items()),
        pytest.param(_somebodys, "belongs to user 54321", marks=needs_root, id="another user's"),
    ],
)
def test_a_file_that_is_broken_or_not_ours_alone_is_compiled_again(
    spoil, sentence, kept, payload, caplog
):
    spoil(kept, payload)
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert answer() == 42
    assert sentence in caplog.text
    assert_whole(kept)
    assert list(kept.parent.iterdir()) == [kept]
    caplog.clear()
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert answer() == 42
    assert caplog.text == ""


@needs_compiler
def test_a_folder_in_the_librarys_place_is_left_there(kept, caplog):
    kept.unlink()
    kept.mkdir()
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert answer() == 42
    assert "are not kept for later" in caplog.text
    assert list(kept.parent.iterdir()) == [kept]


@needs_compiler
def test_another_steps_library_under_this_name_is_not_taken_for_it(kept, caplog):
    right = kept.read_bytes()
    assert answer("int gofau_answer(void) { return 1; }") == 1
    [other] = set(kept.parent.iterdir()) - {kept}
    kept.write_bytes(other.read_bytes())
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert answer() == 42
    assert "the library is another step's" in caplog.text
    assert kept.read_bytes() == right


@needs_compiler
def test_a_sealed_file_that_is_no_library_is_compiled_again(kept):
    kept.write_bytes(cache._sealed(b"hello"))
    assert answer() == 42
    assert len(kept.read_bytes()) > 4000


@needs_compiler
def test_a_library_that_runs_does_not_need_its_file(kept):
    library = compiler.load(CODE)
    os.truncate(kept, 0)  # the process would die here, were it this file that is mapped
    kept.unlink()
    assert library.gofau_answer() == 42


# The folder


def _at_the_others_folder(folder):
    others = folder.with_name("others")
    folder.rename(others)
    folder.symlink_to(others)


FOLDERS = {
    "mode 777": (lambda folder: folder.chmod(0o777), "mode 777: others can write to it"),
    "mode 1777": (lambda folder: folder.chmod(0o1777), "mode 1777: others can write to it"),
    "mode 770": (lambda folder: folder.chmod(0o770), "mode 770: others can write to it"),
    "link": (_at_the_others_folder, "is a link"),
}


@needs_compiler
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        *(pytest.param(*case, id=name) for name, case in FOLDERS.items()),
        pytest.param(
            lambda folder: os.chown(folder, SOMEBODY, SOMEBODY),
            "belongs to user 54321, not to 0",
            marks=needs_root,
            id="another user's",
        ),
    ],
)
def test_a_folder_that_is_not_ours_alone_is_not_used(spoil, sentence, kept, payload, caplog):
    kept.write_bytes(payload)
    spoil(kept.parent)
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert [answer(), answer()] == [42, 42]
    assert [sentence in record.message for record in caplog.records] == [True, True]
    assert kept.read_bytes() == payload
    assert list(kept.parent.iterdir()) == [kept]


@needs_compiler
def test_a_new_folder_is_ours_alone_whatever_the_umask(home):
    before = os.umask(0)
    try:
        assert answer() == 42
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache.cache_folder().stat().st_mode) == 0o700
    [path] = cache.cache_folder().iterdir()
    assert_whole(path)


@needs_compiler
@needs_root
def test_root_makes_no_folders_in_another_users_home(home, monkeypatch, caplog):
    own = home / "somebody"
    own.mkdir(mode=0o700)
    os.chown(own, SOMEBODY, SOMEBODY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(own / ".cache"))
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert answer() == 42
    assert "another user's home" in caplog.text
    assert list(own.iterdir()) == []


@needs_compiler
def test_a_cache_that_cannot_be_made_is_done_without(home, monkeypatch, caplog):
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert answer() == 42
    assert "Not a directory" in caplog.text


@pytest.fixture
def homeless(home, monkeypatch):
    """As in a container that runs as a number."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@needs_compiler
def test_without_a_home_nothing_is_kept(homeless, caplog):
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert answer() == 42
    assert "there is no home folder (set XDG_CACHE_HOME)" in caplog.text


@needs_compiler
@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME"])
def test_a_relative_home_is_none(name, homeless, home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.setenv(name, "here")
    assert answer() == 42
    assert not (home / "here").exists()


def test_a_relative_cache_home_is_passed_over_as_its_specification_says(monkeypatch):
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert str(cache.cache_folder()) == "/somebody/.cache/gofau/kernels"


@needs_compiler
def test_without_any_safe_folder_nothing_is_compiled(homeless, home, monkeypatch):
    unsafe = home / "unsafe"
    unsafe.mkdir()
    unsafe.chmod(0o777)  # and no sticky bit: anybody can rename what others make in it
    monkeypatch.setattr(tempfile, "tempdir", str(unsafe))
    with pytest.raises(compiler.CannotCompile, match=r"no folder .* is safe .*unsafe"):
        compiler.load(CODE)
    assert list(unsafe.iterdir()) == []


@needs_compiler
def test_work_is_done_in_the_cache_where_the_temporary_folder_is_not_safe(home, monkeypatch):
    unsafe = home / "unsafe" / "below"
    unsafe.mkdir(parents=True)
    unsafe.parent.chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(unsafe))
    real, used = tempfile.mkdtemp, []
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **o: used.append(o["dir"]) or real(**o))
    assert answer() == 42
    assert set(used) == {cache.cache_folder()}
    assert len(list(cache.cache_folder().iterdir())) == 1


@needs_compiler
def test_a_temporary_folder_that_no_program_may_be_loaded_from(kept, home, monkeypatch):
    real, asked = ctypes.CDLL, []

    def refuse(path):  # what a mount with noexec does
        asked.append(path)
        if path.startswith(str(home / "temporary")):
            raise OSError("failed to map segment from shared object")
        return real(path)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert answer() == 42
    assert len(asked) == 2
    assert list(kept.parent.iterdir()) == [kept]


@needs_compiler
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT], ids=errno.errorcode.get)
def test_a_library_that_cannot_be_kept_works_all_the_same(call, code, home, monkeypatch, caplog):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert answer() == 42
    assert f"not kept for later: [Errno {code}]" in caplog.text
    assert list(cache.cache_folder().iterdir()) == []


@needs_compiler
def test_what_a_killed_process_left_is_removed_and_what_a_running_one_needs_is_not(home):
    answer()
    places = [home / "temporary", cache.cache_folder()]
    old = time.time() - 2 * cache.STALE_SECONDS
    for place in places:
        for name in ("gofau-kernels-old", "gofau-kernels-new", "others"):
            (place / name).mkdir()
            (place / name / "step.c").write_text("")
            if name != "gofau-kernels-new":
                os.utime(place / name, (old, old))
    draft = places[1] / "gofau-kernels-draft"
    draft.write_text("half a libr")
    os.utime(draft, (old, old))
    answer("int gofau_answer(void) { return 2; }")
    for place in places:
        left = {path.name for path in place.iterdir() if path.suffix != ".so"}
        assert left == {"gofau-kernels-new", "others"}
    for name in ("gofau-kernels-new", "others"):
        (places[0] / name / "step.c").unlink()
        (places[0] / name).rmdir()


@needs_compiler
def test_all_who_compile_at_once_get_a_whole_library(home):
    start = threading.Barrier(6)

    def one(i):
        start.wait()
        return answer()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert set(pool.map(one, range(6))) == {42}
    [path] = cache.cache_folder().iterdir()
    assert_whole(path)


@needs_compiler
def test_a_file_replaced_while_it_is_read_is_read_whole(kept, monkeypatch):
    real = os.fstat

    def replace_then_stat(file):
        if os.path.exists(kept):
            kept.unlink()
        return real(file)

    monkeypatch.setattr(os, "fstat", replace_then_stat)
    monkeypatch.setattr(compiler, "_compile", None)
    folder = os.open(kept.parent, os.O_RDONLY)
    assert len(cache._content(folder, kept.name)) > 4000
    os.close(folder)


def test_a_forked_process_that_ends_does_not_remove_its_parents_folder(home):
    code = """if True:
        import os, runpy, sys
        cache = runpy.run_path(sys.argv[1])
        with cache["workshop"](cache["places"]()[0]) as folder:
            child = os.fork()
            if child == 0:
                sys.exit(0)  # with all that is done at the end of a process
            assert os.waitpid(child, 0)[1] == 0
            assert folder.is_dir()
        assert not folder.exists()"""
    command = [sys.executable, "-c", code, cache.__file__]
    environment = os.environ | {"TMPDIR": str(home / "temporary")}
    subprocess.run(command, env=environment, timeout=60, check=True)


# The compiler


def test_a_garbled_source_is_a_refusal(home):
    with pytest.raises(compiler.CannotCompile):
        compiler.load("// \ud800\n" + CODE)


def test_native_0_turns_it_off(home, monkeypatch, use):
    monkeypatch.setenv("GOFAU_NATIVE", "0")
    use("cc")
    assert compiler.find() is None
    with pytest.raises(compiler.CannotCompile, match="GOFAU_NATIVE=0 turns compiling off"):
        compiler.load(CODE)


@pytest.mark.parametrize("kind", ["absent", "data", "folder", "unclosed", "nothing"])
def test_a_cc_that_is_no_program_is_named_and_not_replaced_by_another(kind, home, use, caplog):
    (home / "data").write_text("int x;")
    (home / "folder").mkdir()
    names = {"unclosed": 'gcc "-O', "nothing": "''"}
    cc = use(names.get(kind, home / kind))
    with caplog.at_level(logging.INFO, "gofau.optim"):
        assert compiler.find() is None
        assert compiler.find() is None
    sentence = f"CC is {cc!r}, which is not a program that can be run"
    assert [record.message for record in caplog.records] == [f"no compiled steps: {sentence}"]
    with pytest.raises(compiler.CannotCompile) as caught:
        compiler.load(CODE)
    assert str(caught.value) == sentence


@needs_compiler
def test_cc_may_have_arguments_and_blanks_in_its_path(home, monkeypatch, use):
    monkeypatch.delenv("CC", raising=False)
    compiler.find.cache_clear()
    real = compiler.find()
    assert real is not None
    monkeypatch.setenv("PATH", os.path.dirname(shlex.split(real)[0]) + os.pathsep + "/usr/bin:/bin")
    use(f"{os.path.basename(real)} -DGOFAU_NUMBER=7")
    assert answer("int gofau_answer(void) { return GOFAU_NUMBER; }") == 7
    (home / "a folder").mkdir()
    link = home / "a folder" / "cc"
    link.symlink_to(shlex.split(real)[0])
    for cc in (link, f"env {shlex.quote(str(link))} -O1"):
        use(cc)
        assert answer(f"{CODE} // {cc}") == 42


@needs_compiler
@pytest.mark.skipif(sys.platform == "darwin", reason="its names are text")
def test_names_that_are_no_text(home, monkeypatch, use):
    real = compiler.find()
    assert real is not None
    link = os.path.join(os.fsencode(home), b"\xff-cc")
    os.symlink(os.fsencode(shlex.split(real)[0]), link)
    use(os.fsdecode(link))
    monkeypatch.setenv("XDG_CACHE_HOME", os.fsdecode(os.fsencode(home) + b"/\xff-cache"))
    assert answer() == 42
    assert len(list(cache.cache_folder().iterdir())) == 1


@needs_compiler
def test_a_working_folder_that_is_gone_is_not_needed(home, monkeypatch, use):
    folder = home / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert answer() == 42
    use("./cc")
    assert compiler.find() is None


WRITE = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
[ -z "$out" ] || """
PROGRAMS = {
    "wrong format": ("\x7fELF but not really", "cannot be run: Exec format error"),
    "no interpreter": ("#!/no/such/shell\n", "cannot be run: No such file or directory"),
    "says no": ("#!/bin/sh\necho it is  too late >&2\nexit 3\n", "failed: it is too late"),
    "says nothing": ("#!/bin/sh\nexit 3\n", "failed: exit code 3, but no library"),
    "makes nothing": ("#!/bin/sh\n", "failed: exit code 0, but no library"),
    "makes nonsense": (WRITE + 'echo hello > "$out"\n', "step.so: "),
    "makes an empty file": (WRITE + ': > "$out"\n', "step.so: "),
    "makes a folder": (WRITE + 'mkdir -p "$out"\n', "exit code 0, but no library"),
    "kills itself": ("#!/bin/sh\nkill -9 $$\n", "failed: exit code -9, but no library"),
    "no text": ("#!/bin/sh\nprintf '\\377\\376'\nexit 1\n", "failed: \ufffd\ufffd"),
    "endless": ("#!/bin/sh\nexec yes\n", r"was stopped \(--version\): it says too much"),
}


@pytest.mark.parametrize(("script", "sentence"), PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_that_is_no_compiler_is_a_sentence(script, sentence, home, use):
    cc = use(script=script)
    for _ in range(2):
        with pytest.raises(compiler.CannotCompile, match=sentence) as caught:
            compiler.load(CODE)
        assert cc in str(caught.value) or "step.so" in str(caught.value)
    assert list(home.glob("cache/gofau/kernels/*")) == []


HANGS = {
    "its version": ("", "--version"),
    "compiling": ('[ "$1" = --version ] && exit 0\n', "compiling"),
}


@pytest.mark.parametrize(("before", "when"), HANGS.values(), ids=HANGS)
def test_a_compiler_that_hangs_is_killed_with_its_children_and_not_asked_again(
    before, when, home, use, monkeypatch
):
    monkeypatch.setattr(compiler, "VERSION_SECONDS", 10.0 if before else 0.5)
    monkeypatch.setattr(compiler, "COMPILE_SECONDS", 0.5)
    alive, asked = home / "alive", home / "asked"
    os.mkfifo(alive)
    # As long as the child lives the pipe has a writer; it says nothing by itself.
    use(script=f"#!/bin/sh\n{before}echo >> {asked}\nsleep 1000 > {alive} &\nwait\n")
    with contextlib.closing(_Reader(alive)) as reader:
        for _ in range(3):
            with pytest.raises(compiler.CannotCompile) as caught:
                compiler.load(CODE)
            assert f"was stopped ({when}): it takes too long" in str(caught.value)
        assert reader.is_at_its_end()
    assert not asked.exists() or asked.read_text() == "\n"
    take_step()


class _Reader:
    def __init__(self, path):
        self.file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def is_at_its_end(self):
        """Whether nobody can write any more: at once, or within the seconds that a kill takes."""
        return bool(select.select([self.file], [], [], 10)[0]) and os.read(self.file, 1) == b""

    def close(self):
        os.close(self.file)


def test_a_compiler_that_says_nothing_more_but_does_not_end_is_killed(home, use, monkeypatch):
    monkeypatch.setattr(compiler, "VERSION_SECONDS", 0.5)
    use(script="#!/bin/sh\nexec >&- 2>&-\nexec sleep 1000\n")
    with pytest.raises(compiler.CannotCompile, match="it takes too long"):
        compiler.load(CODE)


def test_ctrl_c_stops_the_compiler_and_is_passed_on(home, use, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    killed = []
    real = os.killpg
    monkeypatch.setattr(os, "killpg", lambda *call: (killed.append(call), real(*call)))
    monkeypatch.setattr(compiler, "_until_end", interrupt)
    use(script="#!/bin/sh\nexec sleep 1000\n")
    with pytest.raises(KeyboardInterrupt):
        compiler.load(CODE)
    assert len(killed) == 1


@needs_compiler
def test_what_a_compiler_leaves_in_its_temporary_folder_is_removed(home, use, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(home / "temporary"))
    use(script='#!/bin/sh\n[ "$1" = --version ] || echo left > "$TMPDIR/cc1234.s"\nexit 1\n')
    with pytest.raises(compiler.CannotCompile):
        compiler.load(CODE)


def test_a_step_with_a_broken_compiler_and_without_a_home_is_right(homeless, use):
    use(script="\x7fELF but not really")
    take_step()
