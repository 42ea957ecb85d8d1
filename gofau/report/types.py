"""Names of types for the report."""

from typing import Any, TypeAlias

Frame: TypeAlias = Any
"""A `pandas.DataFrame`. Any, because pandas annotates what a frame holds so loosely that a type
checker refuses nearly every use of it."""
Column: TypeAlias = Any
"""A `pandas.Series`."""
