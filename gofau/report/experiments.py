"""The tables and figures of each experiment. A new experiment gets one line here; without it, it
gets `DEFAULT`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gofau.errors import UserError, nearest

SMOKE, REDUCED = "smoke_", "reduced_"
"""Name prefixes of an experiment's twins: on the digits, and on a small budget."""


@dataclass(frozen=True)
class Report:
    """``what`` the experiment is, in a few words, and the kinds of its ``tables`` and ``figures``,
    by their names in `make`.

    Rows, columns and panels follow from what the runs vary, so a rule, an optimizer or a model that
    a sweep adds appears without a change here.
    """

    what: str
    tables: tuple[str, ...] = ("accuracy", "comparison")
    figures: tuple[str, ...] = ("curves",)


DEFAULT = Report("Your own experiment")
REPORTS: Mapping[str, Report] = {
    "defaults": Report(
        "How the default hyperparameters were chosen",
        ("choice", "tuning", "importance"),
        ("tuning", "importance"),
    ),
    "first_run": Report("Final accuracy of the default run, 40 seeds", ("first_run",), ()),
    "fig3_cifar100_curves": Report("Learning curves at the default settings, CIFAR-100"),
    "fig4_tiny_imagenet_curves": Report("Learning curves at the default settings, Tiny ImageNet"),
    "tab2_cifar10_init": Report(
        "Initialisations, CIFAR-10",
        ("accuracy", "robustness", "comparison"),
        ("over_init", "heatmap", "profile"),
    ),
    "tab3_cifar10_lr": Report(
        "Learning rates, CIFAR-10",
        ("accuracy", "robustness", "comparison"),
        ("over_lr", "heatmap", "profile"),
    ),
    "tab4_cifar100": Report(
        "Optimizers, architectures and rivals, CIFAR-100",
        ("accuracy", "comparison", "published"),
    ),
    "tab5_tiny_imagenet": Report("Optimizers and architectures, Tiny ImageNet"),
    "tab6_acceleration": Report(
        "Epochs to equal accuracy, from trainings of different length",
        ("acceleration", "accuracy", "comparison"),
        ("over_horizon", "speedup"),
    ),
    "madam": Report("Madam and integer weights: accuracy and bytes", ("stored",), ()),
    "autoencoder": Report("A problem without labels, where lower is better: an autoencoder"),
    "sanity_graphs": Report("Beside published numbers: Cora and Citeseer", ("accuracy",)),
    "sanity_text": Report("A short training on Tiny Shakespeare", ("accuracy",)),
    "sanity_fashion": Report("Beside usual numbers: Fashion-MNIST", ("accuracy",)),
    "problems_search": Report(
        "The search on every problem, 25 points per arm", ("tuning",), ("tuning",)
    ),
    "problems_search_shifted": Report(
        "The search again, of arms whose best rate is at an end of its range",
        ("tuning",),
        ("tuning",),
    ),
    "problems_superseded": Report(
        "Runs of `problems` at points that were chosen before the protocol was changed",
        ("accuracy",),
        (),
    ),
    "problems": Report(
        "Every arm on every problem, tuned with the same budget",
        ("effects", "accuracy"),
        ("effects",),
    ),
    "problems_lr": Report(
        "Learning rates around each arm's own best", ("robustness", "accuracy"), ("over_lr",)
    ),
    "problems_init": Report(
        "Initialisations, for tuned arms", ("robustness", "accuracy"), ("over_init", "heatmap")
    ),
    "problems_horizons": Report(
        "Epochs to equal results, for tuned arms",
        ("acceleration", "accuracy"),
        ("over_horizon", "speedup"),
    ),
    "problems_full": Report("Confirmation: CIFAR-10 with all images and twice the epochs"),
    "problems_longer": Report("Confirmation: four times the epochs"),
    "spot_resnet18": Report(
        "ResNet18, spot-checked: one run per arm, no intervals", ("accuracy",), ("curves",)
    ),
    "problems_control": Report("Not just the rate: thirty fresh seeds, and clipped gradients"),
    "problems_clipping": Report("Clipped gradients where the rules have an advantage"),
    "problems_steps": Report(
        "Beside additive steps of the same measured size", ("same_step", "accuracy"), ("same_step",)
    ),
    "replication": Report(
        "One verdict of `problems` again, with fresh seeds", ("effects", "accuracy"), ()
    ),
    "layerwise": Report(
        "Layer-wise step sizes without tuning, beside fixed rates",
        ("untuned", "accuracy"),
        ("untuned",),
    ),
    "is_it_just_lr": Report(
        "The control: both rules with the learning rate tuned at equal budget",
        ("control", "accuracy"),
        ("over_lr",),
    ),
}


def report_of(name: str) -> Report:
    """The declaration of an experiment; a twin has that of its experiment."""
    return REPORTS.get(name.removeprefix(SMOKE).removeprefix(REDUCED), DEFAULT)


def shows_epochs(name: str) -> bool:
    """Whether a figure of the experiment is made from the runs' epochs, and not only from their
    results. Only then they are kept: thousands of runs have ten times as many bytes of epochs.

    >>> shows_epochs("fig3_cifar100_curves"), shows_epochs("problems_lr"), shows_epochs("mine")
    (True, False, True)
    """
    return "curves" in report_of(name).figures


def about(name: str) -> str:
    """Describe an experiment in a few words.

    >>> about("smoke_tab2_cifar10_init")
    'Initialisations, CIFAR-10: the twin on the digits'
    """
    twins = {SMOKE: ": the twin on the digits", REDUCED: ": on a small budget"}
    return report_of(name).what + next((t for k, t in twins.items() if name.startswith(k)), "")


def folders(results: Path, names: list[str] | None = None) -> list[Path]:
    """The folders below ``results`` that hold records of runs: all, or those named.

    Raises:
        UserError: a name has no records.
    """
    if not results.is_dir():
        raise UserError(
            f"there is no folder {results} in {Path.cwd()}: run this in the folder of the"
            " repository, or where experiments were collected"
        )
    known = {path.parent.name: path.parent for path in sorted(results.glob("*/runs.csv"))}
    for name in names or []:
        if name not in known:
            hint = nearest(name, known)
            raise UserError(f"{results / name} holds no runs.csv: collect {name} first.{hint}")
    return [known[name] for name in names] if names else list(known.values())


def written(results: Path, names: list[str], file: str, module: str) -> list[Path]:
    """The folders below ``results`` in which an experiment of ``python -m module`` has left this
    file: all, or those named.

    Raises:
        UserError: there are no results here, or a named folder lacks the file.
    """
    if not results.is_dir():
        raise UserError(f"there is no folder {results} in {Path.cwd()}: run this in the repository")
    folders = [results / name for name in names]
    for folder in folders:
        if not (folder / file).exists():
            first = f"python -m {module} experiment={folder.name}"
            raise UserError(f"{folder} holds no {file}: run {first} first")
    return folders or sorted(path.parent for path in results.glob(f"*/{file}"))
