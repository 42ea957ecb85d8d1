"""Step sizes: what multiplies the base's own l, or takes the place of η.

A base optimizer gives a direction m and a step size l of its own per element; d = m·l. A step size
of this module looks at whole tensors (a layer), or at all of a param group, and says

    d ← s · d     (``role = "factor"``: it multiplies l)
    η ← s         (``role = "eta"``: it takes the place of η, in the rule and in decoupled decay)

and then the rule is applied, θ_t = θ_{t−1} − ξ(θ_{t−1}, d; η, …). So every step size combines with
every base and every rule. It is chosen by name, ``stepsize="trust_ratio"``, in the constructor or
in a param group, and its hyperparameters live there too.

A step size of your own is one class, found under its name from then on::

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

Need = Literal["loss", "curvature"]


class Layer(NamedTuple):
    """One parameter tensor as a step size sees it; bfloat16 and float16 are given as float32.

    Attributes:
        theta: θ_{t−1}, the weights before the step and before decoupled weight decay.
        d: m·l, what the base proposes, of the same shape.
        g: the gradient as autograd left it, not negated by ``maximize``, without weight decay.
        state: what `StepSize.init` made for this tensor, to be updated in place.
    """

    theta: Tensor
    d: Tensor
    g: Tensor
    state: dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What the optimizer knows besides the layers, if the step size has asked for it (`needs`).

    Attributes:
        loss: what the closure returned, detached.
        hvp: vectors, one per layer in their order → H·v by a second backward pass, H the Hessian of
            the closure's loss over these layers. Call it once per step: it is the expensive part.
    """

    loss: Tensor | None = None
    hvp: Callable[[Sequence[Tensor]], Sequence[Tensor]] | None = None


class StepSize(ABC):
    """Layers of a param group → one value per layer. Implementations hold no data of their own.

    Attributes:
        name: what ``stepsize="…"`` calls it; set by `register_stepsize`.
        scope: what one value is for. "element": a tensor of the layer's shape, or one that
            broadcasts to it (one value per neuron). "layer": a 0-d tensor that depends on nothing
            but that layer. "group": a 0-d tensor that depends on all layers of the group.
        role: "factor" multiplies d; "eta" takes the place of η, per layer or group. Such a step
            size is also given the group's ``lr``, as a factor for schedules to drive.
        needs: "loss" and "curvature" ask for more than the gradients. ``step`` then needs a closure
            (`gofau.optim.evidence`), and `attach` refuses.
        hyperparameters: its own, declared once, as those of a rule are. No name may be one that a
            base or a rule has.
    """

    name: str
    scope: ClassVar[Literal["element", "layer", "group"]] = "layer"
    role: ClassVar[Literal["factor", "eta"]] = "factor"
    needs: ClassVar[frozenset[Need]] = frozenset()
    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = ()

    def init(self, p: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """State of a parameter before its first step, kept in ``optimizer.state`` beside that of
        the base, under names of its own; nothing unless overridden. (torch casts what it loads to
        the parameter's dtype.)"""
        return {}

    @abstractmethod
    def __call__(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        """The values of today, one per layer, in order; called once per step and group.

        With scope "layer" it may be called with a part of the group's layers at a time. Nothing
        may wait for the device: no ``.item()``, no ``if`` on a tensor's value.

        Args:
            layers: the parameters of the group that have a gradient.
            group: the param group; hyperparameters as numbers or 0-d tensors.
            evidence: what `needs` has asked for.
        """

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"step size '{self.name}'"

    @property
    def own(self) -> dict[str, Hyperparameter]:
        """Its hyperparameters by name."""
        return {h.name: h for h in self.hyperparameters}

    @property
    def is_attachable(self) -> bool:
        """Whether θ, d and g of a step are all that it needs."""
        return type(self).init is StepSize.init and not self.needs

    @property
    def is_local(self) -> bool:
        """Whether θ, d and g of one tensor are all that its value needs."""
        return self.is_attachable and self.scope != "group"

    def values(
        self, layers: Sequence[Layer], group: dict[str, Any], evidence: Evidence
    ) -> Sequence[Tensor]:
        """What the step size says, checked.

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
    """Whether a tensor of one shape broadcasts to another without widening that.

    >>> fits_into((3, 1), (3, 4)), fits_into((4,), (3, 4)), fits_into((3, 4), (4,))
    (True, True, False)
    """
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return len(shape) <= len(other) and all(a in (1, b) for a, b in pairs)


STEPSIZES: dict[str, StepSize] = {}
"""Every known step size by name; `register_stepsize` adds to it."""

S = TypeVar("S", bound=StepSize)


def register_stepsize(name: str) -> Callable[[type[S]], type[S]]:
    """Decorator: make a `StepSize` known as ``stepsize=name`` to every optimizer.

    Raises:
        ValueError: the name is taken by another class, a hyperparameter's by a base's or a rule's;
            or it would be an η per element, which no rule can take.
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
    """The step size of that name; a ValueError with the nearest match where there is none."""
    return STEPSIZES[one_of("stepsize", name, STEPSIZES)]


def _is_again(new: type, old: type) -> bool:
    """Whether a class is one that is there already, defined again: as when a notebook's cell is."""
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
