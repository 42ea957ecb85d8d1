"""Replicates one verdict of ``results/problems/effects.md`` with fresh seeds.

``python scripts/replicate.py --lot 7`` draws one of the decided rows (the number determines which),
trains its two arms again with seeds 101 to 110, which no other experiment has used, merges the
records into ``results/replication`` and says whether the new mean lies in the interval of the
verdict. Runs that are recorded are not repeated.
"""

import argparse
import random
from collections.abc import Iterator
from typing import Any

import pandas as pd
import problems

from gofau.config.grid import grid
from gofau.report.cells import prepare
from gofau.report.effects import Effect, effects_of
from gofau.report.frames import frames
from gofau.report.records import Records
from gofau.report.types import Frame

CONFIGS, RESULTS = problems.CONFIGS, problems.RESULTS
EXPERIMENT = "replication"


def decided() -> list[dict[str, Any]]:
    """The rows of the table of effects whose verdict is not "undecided"."""
    rows: Frame = pd.read_csv(RESULTS / "problems" / "effects.csv")
    return rows[rows["verdict"] != "undecided"].to_dict("records")


def problem_of(row: dict[str, Any]) -> list[str]:
    """The overrides that select the row's data set and model: a problem, and where its data set was
    a copy of the problem's, such as ``cifar10_jpeg`` of ``cifar10``, that one too."""
    for path in sorted((CONFIGS / "search" / "chosen").glob("*.yaml")):
        words = [f"problem={path.stem}"]
        _, config = next(grid(CONFIGS, ["experiment=problems", *words]))
        data, model = config["dataset"], config["model"]
        mine = row["dataset"].split()[0]
        is_copy = f"{mine}_".startswith(f"{data['name']}_")
        is_model = row["model"].split()[0] == model["name"]
        if is_copy and is_model and _has(data, row["dataset"]) and _has(model, row["model"]):
            return words if mine == data["name"] else [*words, f"dataset={mine}"]
    raise SystemExit(f"no problem has {row['dataset']} and {row['model']}")


def _has(section: dict[str, Any], label: str) -> bool:
    """Whether a part of a configuration has the settings of a label: where a table has two data
    sets or models of one name, it tells them apart, as in ``small_cnn width=16``."""
    settings = [word.split("=", 1) for word in label.split()[1:]]
    return all(str(section.get(key)) == value for key, value in settings)


def sweeps(row: dict[str, Any]) -> Iterator[list[str]]:
    """The overrides of the sweeps that train the row's rule, and what it is compared with."""
    problem = problem_of(row)
    for arm, rule in ((row["optimizer"], row["rule"]), (row["against"], "additive")):
        yield [*problem, *problems.words_of(arm, rule)]


def carry_out(row: dict[str, Any], words: list[str]) -> Effect:
    """Train both arms, merge their records into results/, and return the effect."""
    mine = [problems.carry_out(EXPERIMENT, [*one, *words], run=True) for one in sweeps(row)]
    runs = [run for records in mine for run in records.runs]
    (effect,) = effects_of(prepare(frames(Records(runs))[0]))
    if effect.comparison.missing:
        raise SystemExit("error: not all runs are finished: type the command again")
    return effect


def sentence(row: dict[str, Any], effect: Effect) -> str:
    """What was found, beside the verdict."""
    c, text = effect.comparison, effect.metric.text
    low, high = row["low_holm"], row["high_holm"]
    inside = "inside" if low <= c.mean <= high else "outside"
    return (
        f"verdict: {row['verdict']}, {text(row['mean'], sign=True)}"
        f" ({text(low, sign=True)} … {text(high, sign=True)});"
        f" {c.seeds} fresh seeds: {text(c.mean, sign=True)}"
        f" ({text(c.low, sign=True)} … {text(c.high, sign=True)}): {inside} its interval"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Replicate a verdict that is drawn by lot.")
    parser.add_argument("--lot", type=int, default=0, help="the number that draws the verdict")
    options, words = parser.parse_known_args()
    row = random.Random(options.lot).choice(decided())
    what = f"{row['rule']} {row['optimizer']} against additive {row['against']}"
    print(f"{what} on {row['dataset']}, {row['model']}")
    print(sentence(row, carry_out(row, words)))


if __name__ == "__main__":
    main()
