"""Order the instructions of a plan and place their results, so that little memory is needed.

A result overwrites its first argument if no later instruction reads that: a temporary, or the
weights and buffers themselves. Among the instructions that could come next, one that needs no new
memory is preferred, then one that frees most temporaries. The gradient is never overwritten.
"""

from typing import Any, NamedTuple

from gofau.optim.execution.foreach.instructions import ON_LISTS, Atom, Instruction
from gofau.optim.execution.foreach.plan import Plan
from gofau.optim.execution.program import Operation

_OVERWRITE = ("scale", "shift", "axpy", "addcmul", "addcdiv", "lerp", "mul", "div", *ON_LISTS)
_OVERWRITE += ("clamp_min", "clamp_max")
_COMMUTE = ("mul", "maximum", "minimum")


class Place(NamedTuple):
    """Where tensors are stored: the step's tensors by name, temporaries by number."""

    key: str | int


class Step(NamedTuple):
    """One call: an `Instruction`, or "store", which copies its second argument to its first.

    args are Places, coefficients and None. With ``in_place`` the result overwrites the first.
    ``free`` are the temporaries that no later step reads.
    """

    name: str
    args: tuple[Any, ...]
    out: Place
    in_place: bool
    free: tuple[Place, ...]
    operation: Operation | None


def schedule(plan: Plan) -> list[Step]:
    """The steps of a plan."""
    return _Schedule(plan).steps


class _Schedule:
    """Takes the instructions one by one, always the cheapest of those whose arguments are known."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps: list[Step] = []
        self.places = {atom: Place(name) for name, atom in plan.inputs.items()}
        stores = [Instruction("store", (name, x), x) for name, x in plan.stores.items()]
        self.waiting = [*plan.instructions, *stores]
        self.chains = {name: self._chain(name) for name in plan.stores}
        while self.waiting:
            ready = [i for i in self.waiting if i.atoms <= self.places.keys() and self._may(i)]
            self._take(min(ready, key=self._cost))

    def _chain(self, name: str) -> set[Atom]:
        """The results that may overwrite an input before the end: the chain from the input to the
        tensor stored there, each computed from the one before as its first argument."""
        makers = {i.out: i for i in self.plan.instructions}
        atom, found = self.plan.stores[name], set()
        while atom in makers and makers[atom].name in _OVERWRITE:
            found.add(atom)
            atom = makers[atom].args[0]
        return found if atom == self.plan.inputs[name] else set()

    def _readers(self, atom: Atom) -> list[Instruction]:
        return [i for i in self.waiting if atom in i.atoms]

    def _may(self, i: Instruction) -> bool:
        """Whether an instruction may come next: a store must not overwrite what is still read."""
        if i.name != "store":
            return True
        there = [x for x, place in self.places.items() if place.key == i.args[0] and x != i.out]
        return not any(map(self._readers, there))

    def _cost(self, i: Instruction) -> tuple[bool, int]:
        """(whether it needs new memory, minus the temporaries that it frees). At equal cost the
        first in the plan is taken."""
        allocates = i.name != "store" and self._overwritten(i) is None
        last = (x for x in i.atoms if self._readers(x) == [i])
        return allocates, -sum(isinstance(self.places[x].key, int) for x in last)

    def _overwritten(self, i: Instruction) -> int | None:
        """The index of the argument that the result can overwrite; None if there is none."""
        if i.operation is not None or i.name not in _OVERWRITE:
            return None
        for k in (0, 1) if i.name in _COMMUTE else (0,):
            place = self.places[i.args[k]]
            own = isinstance(place.key, int) or i.out in self.chains.get(place.key, ())
            if own and self._readers(i.args[k]) == [i]:
                return k
        return None

    def _take(self, i: Instruction) -> None:
        k, args = self._overwritten(i), list(i.args)
        self.waiting.remove(i)
        if k == 1:
            args = args[::-1]
        places = [self.places[a] if isinstance(a, Atom) else a for a in args]
        if i.name == "store":
            out = places[0] = Place(i.args[0])
            if places[1] == out:
                return
        else:
            out = self.places[i.out] = Place(i.out.number) if k is None else places[0]
        over = {self.places[x] for x in i.atoms if not self._readers(x)} - {out}
        free = tuple(place for place in over if isinstance(place.key, int))
        in_place = k is not None or i.name == "store"
        self.steps.append(Step(i.name, tuple(places), out, in_place, free, i.operation))
