"""The system's C compiler, where there is one: source in, loaded library out, kept on disk.

Nothing is compiled when the package is installed. A library is found again by a hash of its source,
the flags, the compiler and the processor, so that a home directory shared by unlike machines is
safe; it is written beside its place and renamed, so that processes that compile at once do not see
half a file.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

BASIC = ("-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
FLAGS = (  # the first that the compiler takes
    (*BASIC, "-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    (*BASIC, "-march=native", "-fopenmp"),
    (*BASIC, "-mcpu=native", "-fopenmp"),
    (*BASIC, "-fopenmp"),
    BASIC,
)


class CannotCompile(Exception):
    """There is no compiler, or it or the loader failed."""


@functools.cache
def find() -> str | None:
    """Path of the C compiler: $CC, or cc, gcc, clang or their C++ siblings; None without one."""
    if os.name != "posix":
        return None
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang", "c++", "g++", "clang++")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def load(source: str) -> ctypes.CDLL:
    """The library made of ``source``, from the cache or the compiler.

    Raises:
        CannotCompile: with the reason.
    """
    compiler = find()
    if compiler is None:
        raise CannotCompile("no C compiler is found (set CC to name one)")
    key = "\0".join((source, repr(FLAGS), compiler, _version(compiler), _processor()))
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    try:
        library = cache_folder() / f"{name}.so"
        if not library.exists():
            _compile(compiler, source, library)
        return ctypes.CDLL(str(library))
    except OSError as e:
        raise CannotCompile(str(e)) from e


def cache_folder() -> Path:
    """Where libraries are kept: under $XDG_CACHE_HOME or ~/.cache; for this process alone where
    that cannot be written or belongs to another user."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "gofau" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(_private_folder())


@functools.cache
def _private_folder() -> str:
    return tempfile.mkdtemp(prefix="gofau-kernels-")


def _compile(compiler: str, source: str, library: Path) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        code, out = Path(folder) / "step.c", Path(folder) / "step.so"
        code.write_text(source, encoding="utf-8")
        errors = ""
        for flags in FLAGS:
            command = [compiler, *flags, "-x", "c", str(code), "-o", str(out), "-lm"]
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=300, check=False
            )
            if done.returncode == 0:
                os.replace(out, library)
                logger.debug("compiled %s with %s", library, " ".join(flags))
                return
            errors = errors or done.stderr
    raise CannotCompile(f"{compiler} failed: {errors.strip()[:400]}")


@functools.cache
def _version(compiler: str) -> str:
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return done.stdout


@functools.cache
def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    wanted = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
    return "\n".join(sorted({x for x in lines if x.split("\t")[0].split(":")[0] in wanted}))
