"""All private API of other packages that gofau uses: listed here with the reason, and checked, so
that a new version of a package fails with a sentence that says what it broke."""

import ast
import inspect
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch

from scripts import structure

PUBLIC = {"_replace", "_asdict", "_target_"}
"""Documented in spite of the underscore: those of named tuples, and Hydra's key."""


class Private(NamedTuple):
    """A name, the rooms that may use it, what it is needed for, and whether it is as it was."""

    name: str
    rooms: set[str]
    reason: str
    check: Callable[[], bool]


def _takes(function: Callable[..., object], *names: str) -> bool:
    """Whether the function still takes these arguments, in this order."""
    return [*inspect.signature(function).parameters][: len(names)] == [*names]


def _loader() -> bool:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl as Loader

    sweep = _takes(Loader.load_sweep_config, "self", "master_config", "sweep_overrides")
    return sweep and _takes(Loader, "config_search_path") and hasattr(Loader, "get_search_path")


def _applies() -> bool:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl as Loader

    return _takes(Loader._apply_overrides_to_config, "overrides", "cfg")


def _parser() -> bool:
    from hydra._internal.utils import get_args_parser

    found = get_args_parser().parse_intermixed_args(["a=1", "-m", "b=2"])
    return found.overrides == ["a=1", "b=2"] and found.multirun


def _sweeper() -> bool:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    source = inspect.getsource(BasicSweeper.sweep)
    calls = (
        "self.validate_batch_is_legal(",
        "self.split_arguments(overrides, self.max_batch_size)",
    )
    return _takes(BasicSweeper, "max_batch_size") and all(call in source for call in calls)


def _compiler_errors() -> bool:
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import InductorError

    return issubclass(TorchDynamoException, Exception) and issubclass(InductorError, Exception)


def _recompile_limit() -> bool:
    import torch._dynamo

    return isinstance(torch._dynamo.config.recompile_limit, int)


def _convolutions() -> bool:
    from torch.nn.modules.conv import _ConvNd

    return all(issubclass(kind, _ConvNd) for kind in (torch.nn.Conv1d, torch.nn.ConvTranspose3d))


def _dispatch_mode() -> bool:
    from torch.utils._python_dispatch import TorchDispatchMode as Mode

    return hasattr(Mode, "__enter__") and hasattr(Mode, "__torch_dispatch__")


def _schema() -> bool:
    schema = torch.ops.aten.add_.Tensor._schema
    kinds = [str(a.type) for a in schema.arguments]
    return schema.name == "aten::add_" and schema.is_mutable and kinds[:2] == ["Tensor", "Tensor"]


def _foreach() -> bool:
    from gofau.optim.execution.inductor import _LISTS

    in_place = (getattr(torch, f"_foreach_{name}_", None) for name in ("add", "mul", "addcmul"))
    return all(map(callable, _LISTS.values())) and all(map(callable, in_place))


def _hooks() -> bool:
    optimizer = torch.optim.SGD([torch.zeros(1)])
    hooks = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    handle = optimizer.register_step_pre_hook(lambda *_: None)
    return all(isinstance(h, OrderedDict) for h in hooks) and handle.id in hooks[0]


LOADER = "hydra._internal.config_loader_impl"
LISTED = (
    Private(
        f"{LOADER}.ConfigLoaderImpl",
        {"config"},
        "Composer replaces Hydra's loader, to compose a sweep's runs many times faster",
        _loader,
    ),
    Private(
        "_apply_overrides_to_config",
        {"config"},
        "Composer sets a run's values in a copy as Hydra's loader sets them",
        _applies,
    ),
    Private(
        "hydra._internal.utils.get_args_parser",
        {"cli"},
        "what Hydra's parser does not understand is said in one sentence, before Hydra reads it",
        _parser,
    ),
    Private(
        "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
        {"cli"},
        "AxesSweeper is Hydra's basic sweeper with arms and a quicker check of the runs",
        _sweeper,
    ),
    Private("torch._dynamo", {"engine"}, "a sweep compiles more than 8 graphs", _recompile_limit),
    Private("_dynamo", {"engine"}, "a sweep compiles more than 8 graphs", _recompile_limit),
    Private(
        "torch._dynamo.exc.TorchDynamoException",
        {"engine"},
        "a model that cannot be compiled is trained without the compiler",
        _compiler_errors,
    ),
    Private(
        "torch._inductor.exc.InductorError",
        {"engine"},
        "a model that cannot be compiled is trained without the compiler",
        _compiler_errors,
    ),
    Private(
        "torch.nn.modules.conv._ConvNd",
        {"models"},
        "an initialisation finds the convolutions of any model",
        _convolutions,
    ),
    Private(
        "torch.utils._python_dispatch.TorchDispatchMode",
        {"optim"},
        "the statement of a step is recorded as the operations it calls",
        _dispatch_mode,
    ),
    Private("_schema", {"optim"}, "a recorded operation's name and arguments", _schema),
    Private(
        "_overloadname",
        {"optim"},
        "a recorded operation is known by its overload",
        lambda: torch.ops.aten.add.Tensor._overloadname == "Tensor",
    ),
    Private(
        "_foreach_", {"optim"}, "operations on lists of tensors have no public names", _foreach
    ),
    Private(
        "_optimizer_step_pre_hooks",
        {"optim"},
        "an attached rule must be the last hook before a step",
        _hooks,
    ),
    Private(
        "_optimizer_step_post_hooks",
        {"optim"},
        "an attached rule must be the first hook after a step",
        _hooks,
    ),
    Private(
        "_getframe",
        {"optim"},
        "an attached rule finds out whether a step that began has failed",
        lambda: sys._getframe().f_code.co_name == "<lambda>",
    ),
)


def private_uses(files: structure.Sources) -> dict[str, set[str]]:
    """The private names of other packages in these files, each with the rooms that use it: private
    parts of imports, attributes that begin with an underscore and are defined nowhere in the files,
    and texts given to ``getattr``."""
    trees = {path: ast.parse(source) for path, source in files.items()}
    ours = {name for tree in trees.values() for name in _defined(tree)} | PUBLIC
    found: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees.items():
        for name in _used(tree):
            if name.rpartition(".")[2] not in ours:
                known = "_foreach_" if name.startswith("_foreach_") else name
                found[known].add(structure.room_of(path))
    return dict(found)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def _defined(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _used(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            texts = [part for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant)]
            names = [str(text.value) for text in texts[:1]]
        yield from (name for name in names if any(map(_is_private, name.split("."))))


def test_what_is_private_is_listed_and_the_list_is_true():
    used, listed = private_uses(structure.sources()), {entry.name: entry for entry in LISTED}
    unlisted = {
        f"{room} uses {n}" for n, rooms in used.items() for room in rooms if n not in listed
    }
    assert unlisted == set(), "list it with its reason, or find a public way"
    for name, entry in listed.items():
        assert used.get(name, set()) == entry.rooms, f"{name} is listed for other rooms"


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry.name)
def test_it_is_as_it_was(entry: Private):
    try:
        same = entry.check()
    except (ImportError, AttributeError, TypeError, ValueError) as e:
        same = False
        print(e)
    rooms = ", ".join(sorted(entry.rooms))
    assert same, f"{entry.name} has changed. gofau/{rooms} needs it: {entry.reason}."


def test_a_use_is_found():
    files = {
        "gofau/a/x.py": "import torch._C as c\nfrom hydra._internal import utils",
        "gofau/b/y.py": "import torch\ntorch._foreach_add(x)\ngetattr(torch, f'_foreach_{n}')",
        "gofau/c/z.py": "class A:\n  def _f(self):\n    self._x = 1\n    self._theirs(self._x)",
        "gofau/c/w.py": "p._replace(x=1)\na._f()\na.__dict__",
    }
    assert private_uses(files) == {
        "torch._C": {"a"},
        "hydra._internal.utils": {"a"},
        "_foreach_": {"b"},
        "_theirs": {"c"},
    }
