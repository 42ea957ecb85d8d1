"""What stands above the verdicts, in ``claims.md`` and on the page."""

INTRODUCTION = """\
# Verdicts on the paper's claim

The claim is that of arXiv 2307.07189: the update rules accelerate training and make it more robust
to initialisation and learning rate, for many optimizers and architectures. This page is generated
by `make tables` from the records in this folder. How a verdict is reached, how often it is wrong
and how large an effect it can detect: [docs/verdicts.md](../docs/verdicts.md).

**Effect**: each rule against the additive rule, paired over the same cells and seeds; above 0 (or
above × 1) where the rule is better. For acceleration it is the speed-up (×) in epochs to equal
accuracy, from separate trainings of different length. For robustness it is how much less the result
drops from the arm's own best over the grid, in points. For the last sentence it is the difference
in points with each rule at its own best learning rate. For the others it is the mean difference, in
points of accuracy or in the unit of another metric; each metric has rows of its own, and the column
*measured* names it. In the experiments `problems…` every arm has the hyperparameters that its own
search has chosen, all with the same number of points (experiments/problems/PROTOCOL.md).

Only the seeds are random; the grid of cells is fixed. Each seed has one value, its mean over the
grid. Intervals are Student's over these values, and fewer than 5 seeds get none. A verdict is
decided by *its interval*, which is corrected by Holm's method for the number of rows on this page.
The decision is the same in both directions:

- **no difference**: the whole interval lies within ±0.5 points, ±5 % for a speed-up, or ±1 % of the
  additive rule's mean for another metric. This is checked first; if the interval excludes 0, the
  row adds *small* and the side;
- **supported**: the whole interval is on the claim's side;
- **not supported**: the whole interval is on the other side;
- **undecided**: none of these, with the number of seeds that would decide it if mean and spread
  stayed the same; or pairs are missing;
- **missing**: no experiment on this sentence has records.

The interval *for other test images* is the 95 % interval, widened by the most that another test set
of the same size could add. Where it includes 0, the verdict holds for these test images only.

If an experiment has no records, those of its twin on a small budget (`reduced_`) are used. The
verdict then holds for the data and the budget that its row names.
"""
