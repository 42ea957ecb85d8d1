"""Where the site finds what it shows, and how it reads the comments there."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIGS, EXPERIMENTS, RESULTS = ROOT / "configs", ROOT / "experiments", ROOT / "results"


def comment(path: Path) -> str:
    """The first sentence of the comment at the top of a configuration, after the line with its
    command."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    text = " ".join(x for x in lines if not x.startswith(("@package", "python ")))
    return text.partition(". ")[0].rstrip(".:") + "."


def command(path: Path) -> str:
    """The command in the comment at the top of an experiment's configuration; empty if none."""
    lines = (x.lstrip("# ") for x in path.read_text(encoding="utf-8").splitlines() if x[:1] == "#")
    return next((line for line in lines if line.startswith("python ")), "")
