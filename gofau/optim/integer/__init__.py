"""B-bit Madam: weights that are integers, in the number system of `gofau.optim.lns`.

`IntegerMadam` is written from the paper (arXiv 2006.14560), not from its published code, and
differs from that where its text allows it or we had to decide:

- "Natively compressed" is meant: state and checkpoint hold packed integers and signs. The published
  code keeps k in a float tensor.
- Training begins from the model's own initial weights, encoded. The published random integers are
  ``init="random"``: k uniform in {0, …, levels − 1}, under the signs and the θ_max of the model's
  initial weights, which is our reading.
- BatchNorm's affine weights begin at 1 and are weights like others here; the published code turns
  the affine parameters off. What begins at zero is subject to ``zero_init``.
- ĝ counts as 0 for 0/0. Where g² is too small for a float, ĝ is small too, not infinite.
- A gradient that is not finite makes the parameter NaN, as in every optimizer of torch, so that it
  is seen; an integer cannot be NaN, and is levels − 1 then.
"""
