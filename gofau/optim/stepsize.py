"""Step sizes: a factor of the base's own l, or a replacement for η.

A base optimizer gives a direction m and its own step size l per element; d = m·l. A step size of
this module reads whole tensors (a layer), or all tensors of a param group, and computes s:

    d ← s · d     (``role = "factor"``: s multiplies l)
    η ← s         (``role = "eta"``: s replaces η, in the rule and in decoupled weight decay)

Then the rule is applied, θ_t = θ_{t−1} − ξ(θ_{t−1}, d; η, …). So every step size combines with
every base and every rule. It is selected by name, ``stepsize="trust_ratio"``, in the constructor or
in a param group, and its hyperparameters are there too.

Your own step size is one class, registered under a name::

    >>> @register_stepsize("halved")
    ... class Halved(StepSize):
    ...     def __call__(self, layers, group, evidence):
    ...         return [torch.full_like(layer.d, 0.5).mean() for layer in layers]
    >>> STEPSIZES.pop("halved").name
    'halved'
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from torch import Tensor

from gofau.optim.checks import FLAGS, RANGES, one_of
from gofau.optim.hyperparameters import SHARED, Hyperparameter

Need = Literal["loss", "curvature", "difference"]


class Layer(NamedTuple):
    """One parameter tensor as a step size sees it; bfloat16 and float16 are given as float32.

    Attributes:
        theta: θ_{t−1}, the weights before the step and before decoupled weight decay.
        d: m·l from the base, of the same shape.
        g: the gradient as autograd left it, not negated by ``maximize``, without weight decay.
        state: the state that `StepSize.init` made for this tensor, to be updated in place.
    """

    theta: Tensor
    d: Tensor
    g: Tensor
    state: dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """Further inputs of a step size, present if it asks for them in `needs`.

    Attributes:
        loss: the loss that the closure returned, detached.
        hvp: a function from vectors, one per layer in order, to the products H·v, computed by a
            second backward pass; H is the Hessian of the closure's loss over these layers. Call it
            only once per step: it is expensive.
        difference: a function from shifts, one per layer in order, to g(θ + shift) − g(θ), the
            change of the gradients of the same examples. It calls the closure again: use it only
            once per step.
    """

    loss: Tensor | None = None
    hvp: Callable[[Sequence[Tensor]], Sequence[Tensor]] | None = None
    difference: Callable[[Sequence[Tensor]], Sequence[Tensor]] | None = None


class StepSize(ABC):
    """The base class of step sizes: layers of a param group → one value per layer. Subclasses hold
    no data.

    Attributes:
        name: the name by which ``stepsize="…"`` selects it; set by `register_stepsize`.
        scope: what one value covers. "element": a tensor of the layer's shape, or one that
            broadcasts to it (one value per neuron). "layer": a 0-d tensor that depends only on that
            layer. "group": a 0-d tensor that depends on all layers of the group.
        role: "factor" multiplies d; "eta" replaces η, per layer or group. An "eta" step size can
            read the group's ``lr`` and use it as a factor, so that schedules still have an effect.
        needs: "loss", "curvature" and "difference" ask for more than the gradients. ``step`` then
            needs a closure (`gofau.optim.evidence`), and `attach` refuses the step size.
        hyperparameters: declarations of its hyperparameters, as for a rule. None may have the name
            of a hyperparameter of a base or a rule.
    """

    name: str
    scope: ClassVar[Literal["element", "layer", "group"]] = "layer"
    role: ClassVar[Literal["factor", "eta"]] = "factor"
    needs: ClassVar[frozenset[Need]] = frozenset()
    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = ()

    def init(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """Return the state of a parameter before its first step; empty unless overridden. It is
        kept in ``optimizer.state`` beside the state of the base, so its names must differ from
        those. Tensors or plain numbers: on loading, torch casts tensors to the parameter's dtype,
        and leaves numbers as they are."""
        return {}

    @abstractmethod
    def __call__(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        """Return the values for this step, one per layer, in order. Called once per step and group.

        With scope "layer" it may be called with a part of the group's layers at a time. Nothing
        may wait for the device: no ``.item()``, no ``if`` on a tensor's value.

        Args:
            layers: the parameters of the group that have a gradient.
            group: the param group; hyperparameters as numbers or 0-d tensors.
            evidence: the inputs that `needs` asks for.
        """

    @property
    def title(self) -> str:
        """Its name in error messages."""
        return f"step size '{self.name}'"

    @property
    def own(self) -> dict[str, Hyperparameter]:
        """Its hyperparameters by name."""
        return {h.name: h for h in self.hyperparameters}

    @property
    def is_attachable(self) -> bool:
        """Whether it needs nothing but θ, d and g of a step."""
        return type(self).init is StepSize.init and not self.needs

    @property
    def is_local(self) -> bool:
        """Whether its value for a tensor needs nothing but θ, d and g of that tensor."""
        return self.is_attachable and self.scope != "group"

    def values(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        """Call the step size and check what it returns.

        Raises:
            ValueError: not one value per layer, or of a shape that its scope rules out.
        """
        values: Any = self(layers, group, evidence)  # whatever the user's class returns
        if len(values) != len(layers):
            count = f"{len(layers)} layers, got {len(values)} values"
            raise ValueError(f"{self.title} must return one value per layer: {count}")
        for layer, value in zip(layers, values, strict=True):
            shape = tuple(value.shape) if isinstance(value, Tensor) else None
            if self.scope == "element" and shape is not None:
                fits = fits_into(shape, tuple(layer.d.shape))
            else:
                fits = shape == ()
            if not fits:
                want = "broadcast to d" if self.scope == "element" else "have shape ()"
                got = type(value).__name__ if shape is None else f"shape {shape}"
                raise ValueError(f"{self.title}: a value must {want}, got {got}")
        return values


def fits_into(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether a tensor of ``shape`` broadcasts to ``other`` without making that larger.

    >>> fits_into((3, 1), (3, 4)), fits_into((4,), (3, 4)), fits_into((3, 4), (4,))
    (True, True, False)
    """
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return len(shape) <= len(other) and all(a in (1, b) for a, b in pairs)


STEPSIZES: dict[str, StepSize] = {}
"""Every known step size by name; `register_stepsize` adds to it."""

S = TypeVar("S", bound=StepSize)


def register_stepsize(name: str) -> Callable[[type[S]], type[S]]:
    """Decorator that registers a `StepSize` as ``stepsize=name`` for every optimizer.

    Raises:
        ValueError: the name is taken by another class; a hyperparameter has the name of one of a
            base or a rule; or the step size would give an η per element, which no rule accepts.
    """

    def register(cls: type[S]) -> type[S]:
        known = STEPSIZES.get(name)
        if known is not None and not _is_again(cls, type(known)):
            raise ValueError(f"step size '{name}' is already registered by {type(known).__name__}")
        if cls.role == "eta" and cls.scope == "element":
            raise ValueError(f"{cls.__name__}: a rule takes one η per tensor, not one per element")
        taken = sorted({h.name for h in cls.hyperparameters} & {*RANGES, *FLAGS, *SHARED})
        if taken:
            raise ValueError(f"{cls.__name__}: a param group has a '{taken[0]}' already")
        stepsize = cls()
        stepsize.name = name
        STEPSIZES[name] = stepsize
        return cls

    return register


def get_stepsize(name: str) -> StepSize:
    """Return the step size with that name; ValueError with the nearest match if there is none."""
    return STEPSIZES[one_of("stepsize", name, STEPSIZES)]


def _is_again(new: type, old: type) -> bool:
    """Whether ``new`` is ``old`` defined again, as when a notebook cell is run twice."""
    same = (new.__module__, new.__qualname__) == (old.__module__, old.__qualname__)
    return new is old or (same and "<locals>" not in new.__qualname__)


@register_stepsize("base")
class Base(StepSize):
    """s = 1: the base's own l, and nothing else. Costs nothing: it is never called."""

    def __call__(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        return [layer.d.new_ones(()) for layer in layers]


BASE = STEPSIZES["base"]
