"""Problems in two variables, and thousands of trajectories on them at once.

>>> from gofau.toy import PROBLEMS, descend
"""

from gofau.toy.descent import descend
from gofau.toy.problems import PROBLEMS, Problem
from gofau.toy.score import Scores, score

__all__ = ["PROBLEMS", "Problem", "Scores", "descend", "score"]
