"""Compile C source with the system's compiler and load the library; libraries are kept on disk.

Nothing is compiled when the package is installed. The name of a library is a hash of its source,
the flags, the compiler and the processor, so different machines can share a home directory. `cache`
reads and writes the files.

A step must work without all of this: whatever is wrong with the compiler, the folders or the
library, the only exception is `CannotCompile`, after a limited time. A compiler that does not
finish is killed with its child processes, and this process does not run it again.

``CC`` names the compiler, with arguments if needed ("ccache gcc"). If it cannot be used, no other
compiler is tried: the user who sets it has a reason. ``GOFAU_NATIVE=0`` turns compiling off. Both
variables are read once.
"""

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import platform
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

from gofau.optim.execution.native import cache
from gofau.optim.execution.native.cache import cache_folder, log_once

__all__ = ["CannotCompile", "cache_folder", "find", "load"]

logger = logging.getLogger(__name__)

BASIC = ("-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
FLAGS = (  # the first set that the compiler accepts is used
    (*BASIC, "-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    (*BASIC, "-march=native", "-fopenmp"),
    (*BASIC, "-mcpu=native", "-fopenmp"),
    (*BASIC, "-fopenmp"),
    BASIC,
)
VERSION_SECONDS = 10.0
"""Time limit for the compiler to print its version."""
COMPILE_SECONDS = 60.0
"""Time limit to compile with one set of flags; usually it takes less than a second."""
TOTAL_SECONDS = 120.0
"""Time limit to compile with all sets of flags together."""
LONGEST = 1 << 20
"""Limit of the compiler's output in bytes."""


class CannotCompile(Exception):
    """There is no compiler, or the compiler or the loader failed. The message is one sentence."""


@functools.cache
def find() -> str | None:
    """The command of the C compiler, in shell syntax: $CC, else cc, gcc, clang or their C++
    counterparts. None if there is none, or if GOFAU_NATIVE is 0.

    The result is cached; ``find.cache_clear()`` clears it.
    """
    if os.name != "posix" or os.environ.get("GOFAU_NATIVE") == "0":
        return None
    given = os.environ.get("CC", "").strip()
    names = [given] if given else ["cc", "gcc", "clang", "c++", "g++", "clang++"]
    commands = (_command(name) for name in names)
    found = next((command for command in commands if command), None)
    if given and not found:
        log_once(f"no compiled steps: {_why_none()}")
    return found


def load(source: str) -> ctypes.CDLL:
    """The library compiled from ``source``, from the cache or by the compiler.

    Raises:
        CannotCompile: there is no library; the message says why.
    """
    command = find()
    if command is None:
        raise CannotCompile(_why_none())
    try:
        return _load(command, source)
    except (OSError, ValueError, subprocess.SubprocessError) as e:  # ValueError: not UTF-8
        raise CannotCompile(str(e)) from e


def _command(name: str) -> str | None:
    try:
        words = [name] if shutil.which(name) else shlex.split(name)
        program = shutil.which(words[0]) if words else None
        return shlex.join([os.path.abspath(program), *words[1:]]) if program else None
    except ValueError:  # a quote that is not closed
        return None


def _why_none() -> str:
    if os.environ.get("GOFAU_NATIVE") == "0":
        return "GOFAU_NATIVE=0 turns compiling off"
    given = os.environ.get("CC", "").strip()
    if given:
        return f"CC is {given!r}, which is not a program that can be run"
    return "no C compiler is found (set CC to name one)"


def _load(command: str, source: str) -> ctypes.CDLL:
    """Load from the cache if the file there is valid, else compile. A library is kept only after it
    has been loaded, so that nonsense from a broken compiler is not kept."""
    key = "\0".join((source, repr(FLAGS), command, _version(command), _processor()))
    name = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:32]
    kept = cache.read(f"{name}.so")
    if kept is not None:
        try:
            return _stamped(cache.load(kept), name)
        except (OSError, ValueError) as e:  # a library that it needs may have been removed
            log_once(f"a cached compiled step cannot be loaded and is compiled again: {e}")
    made = _compile(command, f'{source}\nconst char gofau_name[] = "{name}";\n')
    library = _stamped(cache.load(made), name)
    cache.keep(f"{name}.so", made)
    return library


def _stamped(library: ctypes.CDLL, name: str) -> ctypes.CDLL:
    """Return the library if it contains this name, else raise ValueError or OSError. The library of
    another step would compute wrong results without an error."""
    stamp = (ctypes.c_char * (len(name) + 1)).in_dll(library, "gofau_name")
    if stamp.value != name.encode():
        raise OSError("the library is another step's")
    return library


def _compile(command: str, source: str) -> bytes:
    cache.sweep()
    deadline, complaint = time.monotonic() + TOTAL_SECONDS, ""
    with cache.workshop(cache.places()[0]) as folder:
        code, out = folder / "step.c", folder / "step.so"
        code.write_text(source, encoding="utf-8")
        for flags in FLAGS:
            arguments = (*flags, "-x", "c", str(code), "-o", str(out), "-lm")
            seconds = min(COMPILE_SECONDS, deadline - time.monotonic())
            # TMPDIR: files that a killed compiler leaves there are removed with the folder.
            status, said = _ask(command, arguments, seconds, {"TMPDIR": str(folder)})
            if status == 0 and out.is_file():
                logger.debug("compiled a step with %s %s", command, " ".join(flags))
                return out.read_bytes()
            complaint = " ".join(said.split())[:400] or f"exit code {status}, but no library"
    raise CannotCompile(f"{_named(command)} failed: {complaint}")


@functools.cache
def _version(command: str) -> str:
    return _ask(command, ("--version",), VERSION_SECONDS, {})[1]


_given_up: dict[str, str] = {}
"""Commands that cannot be run or did not finish, with the message about them."""


def _ask(
    command: str, arguments: tuple[str, ...], seconds: float, environment: dict[str, str]
) -> tuple[int, str]:
    """Run the compiler: exit code and output. CannotCompile if it cannot be run or does not finish;
    then it is never run again, because every further kernel would wait as long."""
    if command not in _given_up:
        words = [*shlex.split(command), *arguments]
        try:
            status, said = _run(words, seconds, os.environ | {"LC_ALL": "C"} | environment)
            return status, said.decode(errors="replace")
        except TimeoutError as e:
            reason = f"was stopped ({'compiling' if environment else arguments[0]}): {e}"
        except OSError as e:
            reason = f"cannot be run: {e.strerror}"
        _given_up[command] = f"{_named(command)} {reason}"
    raise CannotCompile(_given_up[command])


def _named(command: str) -> str:
    return f"CC ({command!r})" if os.environ.get("CC", "").strip() else f"{command!r}"


def _run(words: list[str], seconds: float, environment: dict[str, str]) -> tuple[int, bytes]:
    """Run a command: exit code and output. If it takes too long or prints too much, it is killed,
    and TimeoutError is raised. It runs in its own process group, so that its child processes (the
    compiler proper) can be killed with it."""
    deadline = time.monotonic() + seconds
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        try:
            said = _until_end(pipe.fileno(), deadline)
            return process.wait(max(0.0, deadline - time.monotonic())), said
        except BaseException as e:  # also Ctrl-C, which does not reach another process group
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()  # in case it has left its group
            process.wait()
            if isinstance(e, subprocess.TimeoutExpired):
                raise TimeoutError("it takes too long") from e
            raise


def _until_end(pipe: int, deadline: float) -> bytes:
    # Not communicate(), which would keep an endless output in memory.
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            piece = os.read(pipe, 1 << 16)
            if not piece:
                return said
            said += piece
            if len(said) > LONGEST:
                raise TimeoutError("it says too much")
    raise TimeoutError("it takes too long")


@functools.cache
def _processor() -> str:
    """Description of the processor: whatever -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    wanted = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
    return "\n".join(sorted({x for x in lines if x.split("\t")[0].split(":")[0] in wanted}))
