"""Type aliases of the report."""

from typing import Any, TypeAlias

Frame: TypeAlias = Any
"""A `pandas.DataFrame`. It is Any because pandas annotates the content of a frame so loosely that a
type checker rejects nearly every use of it."""
Column: TypeAlias = Any
"""A `pandas.Series`."""
