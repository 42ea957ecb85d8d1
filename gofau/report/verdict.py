"""The rule that turns comparisons into verdicts: docs/verdicts.md.

A question asks whether a rule is better than the additive rule; its effect is above 0 if it is. It
is answered by Student's interval over the seeds (see `pairs`), in the same way for both directions:

- *no difference*: the whole interval lies within ± a margin that was fixed in advance. This is
  checked first; if the interval excludes 0, the verdict also names the side and calls it small;
- *supported*: the whole interval is above 0;
- *not supported*: the whole interval is below 0;
- *undecided*: none of these.

With many questions on one page some answers would be wrong by chance alone. So the p-values of all
questions of the page are corrected by Holm's method, in two separate families: those for being
different from 0, and those for lying within the margin. The probability of one or more wrong sides
on the page is then at most 5 %, and so is that of one or more wrong *no difference*. The interval
shown has the level at which Holm's method judged the question, so it always agrees with the
verdict.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gofau.report.pairs import Comparison
from gofau.report.statistics import LEVEL, MIN_SEEDS, half_width, holm

ALPHA = 1 - LEVEL
MOST_SEEDS = 1000
"""The largest number of seeds that is computed; beyond it the text says "more than"."""


@dataclass(frozen=True)
class Question:
    """A comparison, and its margin of no difference. If the comparison is a bound, it gets no
    verdict that the true value might not deserve."""

    comparison: Comparison
    margin: float


@dataclass(frozen=True)
class Verdict:
    """The answer that the records give to a question.

    Attributes:
        word: ``supported``, ``not supported``, ``no difference``, ``undecided`` or ``missing``.
        low, high: the interval, corrected for the number of questions; NaN where there is none.
        p, p_same: corrected p-values, of being different from 0 and of lying within the margin.
        side: +1 or −1 where the interval excludes 0, else 0.
        seeds: how many would decide an undecided question if mean and spread stayed the same; 0 if
            unknown.
        reason: why it is undecided, if not because of its interval.
    """

    word: str
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    p_same: float = math.nan
    side: int = 0
    seeds: int = 0
    reason: str = ""

    @property
    def text(self) -> str:
        """The verdict with its explanation.

        >>> Verdict("undecided", seeds=23).text
        'undecided; at this mean and spread 23 seeds would decide it'
        """
        if self.word == "no difference" and self.side:
            return f"no difference (small, {'better' if self.side > 0 else 'worse'})"
        if self.reason:
            return f"{self.word}: {self.reason}"
        if self.word == "undecided" and self.seeds:
            return f"undecided; at this mean and spread {_capped(self.seeds)} seeds would decide it"
        return self.word

    @property
    def plain(self) -> str:
        """A short verdict, for a comparison that tests no claim.

        >>> Verdict("supported").plain, Verdict("undecided", seeds=23).plain
        ('better', 'undecided (23 seeds)')
        """
        words = {"supported": "better", "not supported": "worse"}
        if self.word == "undecided" and self.seeds:
            return f"undecided ({_capped(self.seeds)} seeds)"
        return words.get(self.word, self.text)


def _capped(seeds: int) -> str:
    return f"more than {MOST_SEEDS}" if seeds > MOST_SEEDS else str(seeds)


def decide(questions: Sequence[Question]) -> list[Verdict]:
    """The verdicts on the questions of a page, corrected for their number.

    Example:
        >>> from gofau.report.pairs import compare
        >>> c = compare([[0.03, 0.02, 0.04, 0.03, 0.03]])
        >>> [v] = decide([Question(c, margin=0.005)])
        >>> v.word, round(v.low, 4), round(v.high, 4)
        ('supported', 0.0212, 0.0388)
    """
    # Only questions that can be judged are members of the families that Holm's method corrects.
    asked = [q for q in questions if _why_not(q.comparison) is None]
    differ = [_p_differs(q.comparison) for q in asked]
    same = [_p_within(q.comparison, q.margin) for q in asked]
    corrected = list(zip(holm(differ), holm(same), strict=True))
    levels = [_levels(p, len(asked)) for p in (differ, same)]
    answers = iter(
        _answer(q, p, p_same, a, b)
        for q, (p, p_same), a, b in zip(asked, corrected, *levels, strict=True)
    )
    return [
        next(answers) if (reason := _why_not(q.comparison)) is None else _not_asked(q, reason)
        for q in questions
    ]


def _why_not(c: Comparison) -> str | None:
    """Why a comparison cannot be judged; None where it can."""
    if c.missing:
        return f"{c.missing} of {c.expected} pairs are missing" + (f" ({c.why})" if c.why else "")
    return (
        f"{c.seeds} seeds, and no interval of fewer than {MIN_SEEDS}"
        if c.seeds < MIN_SEEDS
        else None
    )


def _not_asked(q: Question, reason: str) -> Verdict:
    return Verdict("undecided", reason=reason) if q.comparison.pairs else Verdict("missing")


def _p_differs(c: Comparison) -> float:
    """The smallest α at which the 1 − α interval excludes 0: two-sided, of the paired t-test."""
    if c.sd == 0:  # all seeds agree: the interval is a point
        return float(c.mean == 0)
    t = abs(c.mean) / (c.sd / math.sqrt(c.seeds))
    return float(2 * stats.t.sf(t, c.seeds - 1))


def _p_within(c: Comparison, margin: float) -> float:
    """The smallest α at which the 1 − α interval lies within ± margin; 1 if the mean does not."""
    room = margin - abs(c.mean)
    if room < 0 or c.sd == 0:
        return float(room < 0)
    return float(2 * stats.t.sf(room / (c.sd / math.sqrt(c.seeds)), c.seeds - 1))


def _levels(p: Sequence[float], members: int) -> list[float]:
    """The α at which Holm's method judged each question: ALPHA / (m − i) for the i-th smallest p
    while it rejects; for all others the level of the first that it did not reject."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    first = next((k for k, i in enumerate(order) if p[i] > ALPHA / (members - k)), len(p))
    rank = {i: min(k, first) for k, i in enumerate(order)}
    return [ALPHA / (members - rank[i]) for i in range(len(p))]


def _answer(q: Question, p: float, p_same: float, level: float, level_same: float) -> Verdict:
    c = q.comparison
    differs, same = p <= ALPHA, p_same <= ALPHA and not c.bound
    at = level_same if same else level
    if not same and (not differs or abs(c.mean) + half_width(c.sd, c.seeds, 1 - at) <= q.margin):
        # The interval of the looser level could suggest a conclusion that was tested only at the
        # stricter level.
        at = min(level, level_same)
    half = half_width(c.sd, c.seeds, 1 - at)
    low, high = c.mean - half, c.mean + half
    side = (low > 0) - (high < 0) if differs else 0
    # A small difference is "no difference" even if it differs from 0 significantly.
    word = "no difference" if same else {1: "supported", -1: "not supported"}.get(side, "undecided")
    reason = ""
    if word in _UNSURE.get(c.bound, ()):
        word, reason = "undecided", "some of its values are bounds"
    seeds = _seeds(q, at) if word == "undecided" and not reason else 0
    return Verdict(word, low, high, p, p_same, side, seeds, reason)


_UNSURE = {
    "≤": ("supported",),
    "≥": ("not supported",),
    "≈": ("supported", "not supported"),
}
"""Mark of a bound → the verdicts that it cannot support."""


def _seeds(q: Question, level: float) -> int:
    """The fewest seeds that would decide the question if mean and spread stayed the same."""
    c = q.comparison
    room = max(abs(c.mean), 0.0 if c.bound else q.margin - abs(c.mean))
    n = np.arange(MIN_SEEDS, MOST_SEEDS + 1)
    enough = n[stats.t.ppf(1 - level / 2, n - 1) * c.sd / np.sqrt(n) < room]
    return int(enough[0]) if len(enough) else MOST_SEEDS + 1
