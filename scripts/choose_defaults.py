"""The default hyperparameters of every optimizer and rule, from the sweeps that chose them.

``make defaults`` runs the sweeps ``experiment=defaults_<rule>`` and then this, which gathers their
records in ``results/defaults/`` and writes what is best there into the configuration: the additive
rule's learning rate into ``configs/optimizer/<optimizer>.yaml``, as the one that any rule without a
choice of its own starts from, and each other rule's values into
``configs/tuned/<optimizer>-<rule>.yaml``. ``--write`` does the second part alone, from the
committed records.
"""

import argparse
import re
from pathlib import Path

import pandas as pd

from gofau.report.cells import BASELINE, read
from gofau.report.choice import choices
from gofau.report.frames import collect, save
from gofau.sweeps import grid

ROOT = Path(__file__).parent.parent
CONFIGS, RECORDS = ROOT / "configs", ROOT / "results" / "defaults"
RULES = ("additive", "multiplicative", "hybrid", "exponential")
CHOSEN = "chosen on validation accuracy, out of {points}: results/defaults"


def gather(words: list[str]) -> None:
    """The records of all the sweeps, in one folder of results."""
    found = [collect(grid(CONFIGS, [f"experiment=defaults_{rule}", *words])) for rule in RULES]
    runs, curves = (pd.concat(frames, ignore_index=True) for frames in zip(*found, strict=True))
    save(runs, curves, RECORDS)
    print(f"{RECORDS}: {len(runs)} runs ({(runs['state'] == 'pending').sum()} missing)")


def write(configs: Path) -> None:
    """The best values, as configuration; a choice whose records are incomplete is not made."""
    (configs / "tuned").mkdir(exist_ok=True)
    for found in choices(read(RECORDS)):
        optimizer, rule, values = found["optimizer"], found["rule"], found["values"]
        if not values:
            print(f"{optimizer} {rule}: not all seeds are there, left as it is")
            continue
        why = CHOSEN.format(points=found["points"])
        if rule == BASELINE:
            path = configs / "optimizer" / f"{optimizer}.yaml"
            line = f"lr: {values['optimizer.lr']:g}   # {why}"
            text = re.sub(r"^lr:.*$", line, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        else:
            path = configs / "tuned" / f"{optimizer}-{rule}.yaml"
            text = _tuned(values, why)
        path.write_text(text, encoding="utf-8")


def _tuned(values: dict[str, float], why: str) -> str:
    lines = ["# @package _global_", f"# {why[0].upper()}{why[1:]}."]
    for section in ("optimizer", "rule"):
        own = {k.partition(".")[2]: v for k, v in values.items() if k.startswith(section)}
        if own:
            lines.append(f"{section}: {{{', '.join(f'{k}: {v:g}' for k, v in own.items())}}}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="The default hyperparameters, from the sweeps.")
    parser.add_argument("--write", action="store_true", help="from the committed records")
    parser.add_argument("--configs", type=Path, default=CONFIGS, help="where to write")
    parser.add_argument("overrides", nargs="*", help="those that were given to the sweeps")
    options = parser.parse_args()
    if not options.write:
        gather(options.overrides)
    write(options.configs)


if __name__ == "__main__":
    main()
