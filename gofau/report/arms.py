"""The names of arms: an optimizer with what stands around it."""

from gofau.report.types import Column, Frame

USUAL = {"stepsize.name": "base", "post_step.name": "none"}
"""What is not named. Records that are older than a section lack its column."""


def arm_names(runs: Frame) -> Column:
    """The optimizer of each run, with its step size and its post-step where these are not the usual
    ones: ``sgd+ham``, as `gofau.config.search.arm` names them. Their hyperparameters, which a
    search varies within an arm, are left out.

    >>> import pandas as pd
    >>> runs = pd.DataFrame({"optimizer.name": ["sgd", "sgd"], "post_step.name": ["none", "ham"]})
    >>> arm_names(runs).tolist()
    ['sgd', 'sgd+ham']
    """
    names = runs["optimizer.name"]
    for column, usual in USUAL.items():
        if column in runs:
            plain = runs[column].isna() | runs[column].isin([usual, ""])
            names = names.where(plain, names + "+" + runs[column].astype(str))
    return names
