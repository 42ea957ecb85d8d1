"""What Hydra 1.3 and 1.4, and OmegaConf 2.3 and 2.4, want to be told in different words."""

import inspect
from collections.abc import Callable
from typing import Any

import hydra
from omegaconf import OmegaConf

_OLD = hydra.__version__.startswith("1.3")

BASE: dict[str, Any] = {"version_base": "1.3"} if _OLD else {}
"""For ``initialize_config_dir``: 1.3 warns without it, 1.4 with it."""
MAIN: dict[str, Any] = BASE if _OLD else {"execution_whitelist": ("gofau.*", "hydra_plugins.*")}
"""For ``hydra.main``: 1.4 also asks what Hydra itself may call, such as launchers and callbacks.
What a run is built of is `gofau.session.build`'s to say."""


def register_resolver(name: str, function: Callable[..., Any]) -> None:
    """Make ``${name:…}`` call the function, whatever it called before."""
    new = OmegaConf.register_resolver  # 2.3 has another, deprecated function of that name
    if "replace" not in inspect.signature(new).parameters:
        new = OmegaConf.register_new_resolver
    call: Any = new
    call(name, function, replace=True)
