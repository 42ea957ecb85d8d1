"""What the site says of the experiments: command, cost and status, from the configurations, the
READMEs and the records, so that a new record changes the page and nobody writes a status."""

import re
from functools import cache

import pandas as pd

from docs._ext.sources import CONFIGS, EXPERIMENTS, RESULTS, command, comment
from gofau.config.grid import size
from gofau.report.cells import FINISHED, read
from gofau.report.experiments import REDUCED, SMOKE
from gofau.report.finding import finding
from gofau.report.published import quoted
from gofau.report.statistics import summary
from gofau.report.types import Frame

FOLDER = CONFIGS / "experiment"
TWINS = {REDUCED: "on a small budget", SMOKE: "on the digits"}
PARTS = re.compile(r"\*\*([^*]+)\.\*\*\s+(.+?)(?=\n\n\*\*|\Z)", re.DOTALL)
PAPER, SLIDES, PROTOCOL = ("fig", "tab"), ("toy_",), ("problems",)
WHOLE = ("cells.csv", "trainings.csv")
"""What an experiment writes that is made at once, not run by run."""
NOTHING = "no records yet"
PROBLEM = ("dataset.name", "model.name")
PER_PROBLEM = " problem="
"""In the command of an experiment that is carried out on one problem after another."""


def names() -> list[str]:
    """The experiments that have a page and a command of their own, without their twins."""
    pages = sorted(path.parent.name for path in EXPERIMENTS.glob("*/README.md"))
    found = [name for name in pages if (FOLDER / f"{name}.yaml").exists()]
    return [name for name in found if not name.startswith((*TWINS,))]


def paper() -> str:
    """The table of the paper's figures and tables."""
    return _table([name for name in names() if name.startswith(PAPER)])


def slides() -> str:
    """The table of what the authors' slides show."""
    return _table([name for name in names() if name.startswith(SLIDES)])


def ours() -> str:
    """The table of our own experiments."""
    return _table([name for name in names() if not name.startswith((*PAPER, *SLIDES))])


def _table(some: list[str]) -> str:
    rows = ["| what, and the command | cost | status |", "|---|---|---|"]
    for name in some:
        path = FOLDER / f"{name}.yaml"
        what = f"{_page(name)}: {_cell(comment(path))}<br>`{command(path)}`"
        rows.append(f"| {what} | {cost(name)} | {status_with_twins(name)} |")
    return "\n".join(rows)


def overview(base: str = "experiments/") -> str:
    """The table in README: the experiments of the paper, of the slides and of the protocol, each
    with its command and with how many of its runs are recorded."""
    rows = ["| figure, table or experiment | command | recorded |", "|---|---|---|"]
    shown = (PAPER, SLIDES, PROTOCOL)
    for name in [name for kind in shown for name in names() if name.startswith(kind)]:
        path = FOLDER / f"{name}.yaml"
        what = f"{_page(name, base)}: {_cell(comment(path))}"
        rows.append(f"| {what} | `{command(path)}` | {_recorded(name)} |")
    return "\n".join(rows)


def _recorded(name: str) -> str:
    said = status(name).partition(", at commit")[0]
    if said == NOTHING and command(FOLDER / f"{name}.yaml").startswith("python train.py"):
        said = f"0 of {runs(name):,} runs"
    twin = SMOKE + name
    there = (RESULTS / twin / "runs.csv").exists() and (FOLDER / f"{twin}.yaml").exists()
    return said + f"; on the digits: {status(twin)}" * there


def _cell(text: str) -> str:
    """Text in a cell of a table, whose columns | separates."""
    return text.replace("|", r"\|")


def found() -> str:
    """What the experiment `problems` has found so far."""
    return finding(RESULTS, planned=len([*CONFIGS.glob("budget/*.yaml")]))


def contents() -> str:
    """The pages of the experiments, for the navigation; those of the twins are only linked."""
    found = sorted(path.parent.name for path in EXPERIMENTS.glob("*/README.md"))
    lines = [f"../experiments/{name}/README" for name in found if not name.startswith((*TWINS,))]
    return "\n".join(["```{toctree}", ":hidden:", "", *lines, "```"])


def _page(name: str, base: str = "../experiments/") -> str:
    """The name as a link to the experiment's page, if it has one, from a page of docs/; ``base``
    leads from another page to the experiments."""
    there = (EXPERIMENTS / name / "README.md").exists()
    return f"[{name}]({base}{name}/README.md)" if there else f"`{name}`"


def cost(name: str) -> str:
    """The number of runs, from the README, and the hours that they took, from the records."""
    readme = EXPERIMENTS / name / "README.md"
    parts = dict(PARTS.findall(readme.read_text(encoding="utf-8"))) if readme.exists() else {}
    text = " ".join(parts.get("Cost", "").split())
    said = re.split(r"(?<=[\w)])[.;:] |, times the seconds", text)[0].rstrip(".") + "." * bool(text)
    path = RESULTS / name / "runs.csv"
    if not path.exists():
        return said
    seconds = pd.read_csv(path, usecols=["seconds_total"])["seconds_total"].sum()
    return f"{said} Measured: {seconds / 3600:.2g} hours of runs."


def status_with_twins(name: str, base: str = "../experiments/") -> str:
    """The status of an experiment and of its twins; ``base`` as in `_page`."""
    said = [status(name)]
    for prefix, words in TWINS.items():
        if (FOLDER / f"{prefix}{name}.yaml").exists():
            words = "in seconds" if "gofau.toy" in command(FOLDER / f"{name}.yaml") else words
            said.append(f"{_page(prefix + name, base)} ({words}): {status(prefix + name)}")
    return "; ".join(said)


def status(name: str) -> str:
    """How much of an experiment is recorded."""
    folder = RESULTS / name
    whole = [folder / name for name in WHOLE if (folder / name).exists()]
    if whole:
        column = pd.read_csv(whole[0], usecols=["provenance.commit"]).iloc[:, 0]
        return f"**done**, at commit {', '.join(dict.fromkeys(column.astype(str).str[:10]))}"
    if not (folder / "runs.csv").exists():
        return NOTHING
    found: Frame = pd.read_csv(folder / "runs.csv", usecols=lambda x: x in ("state", *PROBLEM))
    there, all_ = int(found["state"].isin(FINISHED).sum()), runs(name)
    path = FOLDER / f"{name}.yaml"
    if path.exists() and PER_PROBLEM in command(path):
        words = _on_problems(found[found["state"].isin(FINISHED)], all_)
    else:
        words = f"**done**, {there:,} runs" if there >= all_ else f"{there:,} of {all_:,} runs"
    diverged = int((found["state"] == "diverged").sum())
    return words + f", {diverged} of them diverged" * bool(diverged)


def _on_problems(finished: Frame, per_problem: int) -> str:
    """The status of an experiment whose grid is typed again for each problem."""
    sizes = finished.groupby(list(PROBLEM)).size()
    done = int((sizes >= per_problem).sum())
    if not done:
        return f"{len(finished):,} of {per_problem:,} runs per problem"
    return f"**done** on {done} problem{'s' * (done > 1)}, {len(finished):,} runs"


@cache
def runs(name: str) -> int:
    """The number of runs in an experiment's grid; 0 if it has no configuration of its own, as the
    search for the defaults."""
    there = (FOLDER / f"{name}.yaml").exists()
    return size(CONFIGS, [f"experiment={name}"]) if there else 0


def accuracies() -> str:
    """The published accuracies of ResNet18 on CIFAR-100, and ours in a column of their own."""
    rows = ["| arm | published, % | ours, % |", "|---|---|---|"]
    folder = RESULTS / "tab4_cifar100"
    found = read(folder) if (folder / "runs.csv").exists() else None
    for row in quoted("tab4_cifar100")["values"]:
        theirs = f"{row['mean']:.2f} ± {row['spread']:.2f}"
        arm = (row["optimizer"], row["rule"], row.get("stepsize", "base"))
        rows.append(f"| {row['name']} | {theirs} | {_ours(found, arm)} |")
    if found is not None:
        for base in ("sgd", "adagrad", "rmsprop", "adam"):
            arm = (base, "additive", "base")
            rows.append(f"| additive {base} | not published | {_ours(found, arm)} |")
    return "\n".join(rows)


def _ours(found: pd.DataFrame | None, arm: tuple[str, str, str]) -> str:
    if found is None:
        return NOTHING
    kinds = zip(("optimizer.name", "rule.name", "stepsize.name"), arm, strict=True)
    mine = found[found["model.name"] == "resnet18"]
    for column, value in kinds:
        mine = mine[mine[column] == value]
    s = summary(100 * mine["outcome"])
    return f"{s.mean:.2f} ± {s.half:.2f} ({s.n})" if s.n else NOTHING


def verdicts() -> str:
    """The first columns of the table of verdicts in results/claims.md."""
    return _of_claims("sentence", "rule", "verdict", "effect", "measured", "experiment", "data")


def answers() -> str:
    """The same with the intervals, for the page of findings."""
    return _of_claims("sentence", "rule", "effect", "its interval", "verdict", "measured", "data")


def _of_claims(*kept: str) -> str:
    text = (RESULTS / "claims.md").read_text(encoding="utf-8").partition("## The claim")[2]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    places = [cells[0].index(name) for name in kept]
    end = next((i for i, row in enumerate(rows) if i > 1 and row == rows[0]), len(rows))
    table = [[row[i] for i in places] for row in cells[:1] + cells[2:end]]
    lines = [f"| {' | '.join(row)} |" for row in table]
    return "\n".join([lines[0], "|" + "---|" * len(kept), *lines[1:]])


def records(name: str) -> str:
    """What an experiment's page says beyond its README: the status, tables and figures."""
    folder = RESULTS / name
    lines = ["", "## Records", "", f"Status: {status_with_twins(name, '../')}."]
    tables = sorted(folder.glob("*.md"))
    if tables:
        links = (f"[{path.stem}](../../results/{name}/{path.name})" for path in tables)
        lines += ["", f"Tables: {', '.join(links)}."]
    for path in sorted(folder.glob("*.svg")):
        lines += ["", f"![{path.stem}](../../results/{name}/{path.name})"]
    return "\n".join(lines) + "\n"
