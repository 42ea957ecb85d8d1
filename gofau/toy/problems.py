"""Problems in two variables: a value, a gradient, where the minima are, and the box of interest.

Every function takes points of shape (..., 2) and works on all of them at once, each on its own; a
point that is not finite has no effect on the others. The gradients are written out, since autograd
would cost more than everything else in a step together; the tests hold them against autograd.

The formulas are the usual ones, as collected by Jamil and Yang, *A literature survey of benchmark
functions for global optimization problems*, arXiv 1308.4008; the first source is named at each.
Those marked "ours" are made to show one thing.

    >>> points = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    >>> PROBLEMS["rosenbrock"].value(points)
    tensor([0., 1.])
    >>> PROBLEMS["rosenbrock"].gradient(points)
    tensor([[ 0.,  0.],
            [-2.,  0.]])
    >>> PROBLEMS["rosenbrock"].distance(points)
    tensor([0.0000, 1.4142])
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor

Point = tuple[float, float]


class Problem(ABC):
    """A function f of points (x, y) = (x0, x1).

    Attributes:
        minima: the places of all global minima.
        box: ((low, high) of x0, (low, high) of x1), where starts are drawn from.
    """

    minima: tuple[Point, ...]
    box: tuple[Point, Point]

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    @abstractmethod
    def value(self, points: Tensor) -> Tensor:
        """f at points (..., 2), of shape (...)."""

    @abstractmethod
    def gradient(self, points: Tensor) -> Tensor:
        """∇f at points (..., 2), of the same shape."""

    def distance(self, points: Tensor) -> Tensor:
        """‖point − nearest global minimum‖₂ of points (..., 2); NaN or infinite where they are."""
        x, y = points.unbind(-1)
        squares = ((x - a).square_().add_((y - b).square_()) for a, b in self.minima)
        return reduce(torch.minimum, squares).sqrt_()

    def same_signs(self, points: Tensor) -> Tensor:
        """Whether points (..., 2) have, in both coordinates, the signs of a global minimum, so that
        a rule which only scales weights can take them there. Zero is approached from any side."""
        minima = torch.tensor(self.minima, dtype=points.dtype, device=points.device)
        alike = points.sign().unsqueeze(-2) == minima.sign()  # (..., minima, 2)
        return (alike | (minima == 0)).all(-1).any(-1)

    @property
    def diagonal(self) -> float:
        """Length of the box's diagonal: a distance that is as bad as it gets."""
        return math.hypot(*(high - low for low, high in self.box))


def _join(dx: Tensor, dy: Tensor) -> Tensor:
    """Components as one tensor (..., 2), each component a contiguous piece of its memory."""
    return torch.stack((dx, dy)).movedim(0, -1)


def _from(points: Tensor, place: Point) -> tuple[Tensor, Tensor]:
    x, y = points.unbind(-1)
    return x - place[0], y - place[1]


class Bowl(Problem):
    """f = (x − 1)² + (y − 1)². Ours: the convex bowl, with its minimum where Rosenbrock's is and
    off the axes, because zero is a special place for rules that scale the weights."""

    minima = ((1.0, 1.0),)
    box = ((-3.0, 3.0), (-3.0, 3.0))

    def value(self, points: Tensor) -> Tensor:
        return (points - 1).square().sum(-1)

    def gradient(self, points: Tensor) -> Tensor:
        return (points - 1).mul_(2)


class Sphere(Problem):
    """f = x² + y². The convex bowl with its minimum at that special place. De Jong (1975)."""

    minima = ((0.0, 0.0),)
    box = ((-3.0, 3.0), (-3.0, 3.0))

    def value(self, points: Tensor) -> Tensor:
        return points.square().sum(-1)

    def gradient(self, points: Tensor) -> Tensor:
        return 2 * points


class Illconditioned(Problem):
    """f = ½(x − 1)² + ½·100·(y − 1)². Ours: a quadratic of condition number 100."""

    minima = ((1.0, 1.0),)
    box = ((-3.0, 3.0), (-3.0, 3.0))

    def value(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        return 0.5 * (x - 1).square() + 50 * (y - 1).square()

    def gradient(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        return _join(x - 1, (y - 1).mul_(100))


class Tilted(Problem):
    """f = ¼(u − v)² + 12.5·(u + v)², u = x − 1.3, v = y − 1.7. Ours: a quadratic of condition
    number 50 with diagonal axes, so that an optimizer with a step size for each coordinate does not
    see through it. Its minimum is no power of two: a weight that was scaled down to 2⁻⁵³ of itself,
    the most that one step can do, and up again, comes to lie on one of those by chance."""

    minima = ((1.3, 1.7),)
    box = ((-3.0, 3.0), (-3.0, 3.0))

    def value(self, points: Tensor) -> Tensor:
        u, v = _from(points, self.minima[0])
        return 0.25 * (u - v).square() + 12.5 * (u + v).square()

    def gradient(self, points: Tensor) -> Tensor:
        u, v = _from(points, self.minima[0])
        across, along = 0.5 * (u - v), 25 * (u + v)
        return _join(along + across, along - across)


class Rosenbrock(Problem):
    """f = (1 − x)² + 100·(y − x²)². Rosenbrock, *An automatic method for finding the greatest or
    least value of a function* (1960)."""

    minima = ((1.0, 1.0),)
    box = ((-2.0, 2.0), (-1.0, 3.0))

    def value(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        return (1 - x).square() + 100 * (y - x * x).square()

    def gradient(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        dy = torch.addcmul(y, x, x, value=-1).mul_(200)  # 200·(y − x²)
        dx = (x - 1).addcmul_(x, dy, value=-1).mul_(2)  # 2·(x − 1) − 400·x·(y − x²)
        return _join(dx, dy)


class Beale(Problem):
    """f = (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)². Beale, *On an iterative method
    for finding a local minimum of a function of more than one variable* (1958)."""

    minima = ((3.0, 0.5),)
    box = ((-4.5, 4.5), (-4.5, 4.5))

    def value(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        constants = enumerate((1.5, 2.25, 2.625), start=1)
        return sum((c - x + x * y**i).square() for i, c in constants)  # type: ignore[return-value]

    def gradient(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        power, dx, dy = y, torch.zeros_like(x), torch.zeros_like(x)
        below = torch.ones_like(y)  # y^(i−1)
        for i, c in enumerate((1.5, 2.25, 2.625), start=1):
            error = c + x * (power - 1)
            dx.addcmul_(error, power - 1, value=2)
            dy.addcmul_(error * x, below, value=2 * i)
            below, power = power, power * y
        return _join(dx, dy)


class Himmelblau(Problem):
    """f = (x² + y − 11)² + (x + y² − 7)²; four global minima, in all four quadrants. Himmelblau,
    *Applied Nonlinear Programming* (1972)."""

    minima = (
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.283185991286170),
        (3.584428340330492, -1.848126526964404),
    )
    box = ((-5.0, 5.0), (-5.0, 5.0))

    def value(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        return (x * x + y - 11).square() + (x + y * y - 7).square()

    def gradient(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        a, b = x * x + y - 11, x + y * y - 7
        return _join(4 * x * a + 2 * b, 2 * a + 4 * y * b)


class Rastrigin(Problem):
    """f = 20 + x² − 10·cos(2πx) + y² − 10·cos(2πy), a local minimum near every pair of integers.
    Rastrigin (1974)."""

    minima = ((0.0, 0.0),)
    box = ((-5.12, 5.12), (-5.12, 5.12))

    def value(self, points: Tensor) -> Tensor:
        return (points.square() + 10 - 10 * torch.cos(2 * math.pi * points)).sum(-1)

    def gradient(self, points: Tensor) -> Tensor:
        return 2 * points + 20 * math.pi * torch.sin(2 * math.pi * points)


class Saddle(Problem):
    """f = x² + ¼(y² − 1)². Ours: minima at (0, ±1), and between them, at the origin, a saddle."""

    minima = ((0.0, 1.0), (0.0, -1.0))
    box = ((-2.0, 2.0), (-2.0, 2.0))

    def value(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        return x.square() + 0.25 * (y.square() - 1).square()

    def gradient(self, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        return _join(2 * x, y * (y.square() - 1))


_ALL = (*(Bowl, Sphere, Illconditioned, Tilted, Rosenbrock, Beale, Himmelblau, Rastrigin, Saddle),)
PROBLEMS: Mapping[str, Problem] = {problem.name: problem for problem in (make() for make in _ALL)}
"""Every problem by its name."""
