"""B-bit Madam: weights that are integers, in the number system of `gofau.optim.lns`.

`IntegerMadam` is written from the paper (arXiv 2006.14560), not from its published code. It differs
from the code where the paper's text allows it or leaves the choice to us:

- "Natively compressed" is taken literally: the state holds integers and signs, and the checkpoint
  holds them packed. The published code keeps k in a float tensor.
- Training starts from the model's own initial weights, encoded. The random integers of the
  published code are ``init="random"``: k uniform in {0, …, levels − 1}, with the signs and the
  θ_max of the model's initial weights, which is our reading.
- BatchNorm's affine weights start at 1 and are treated like other weights; the published code turns
  the affine parameters off. Tensors that start at zero are subject to ``zero_init``.
- ĝ is 0 for 0/0. Where g² is too small for a float, ĝ is small too, not infinite.
- A gradient that is not finite makes the parameter NaN, as in every torch optimizer, so that it is
  noticed; the integer cannot be NaN, and becomes levels − 1.
"""
