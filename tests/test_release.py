"""What a release says about itself agrees: version, citation, changelog, continuous integration."""

import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from gofau import __version__
from tests.command_line import ROOT


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))
CITATION = yaml.safe_load(text("CITATION.cff"))
WORKFLOW = yaml.safe_load(text(".github/workflows/ci.yml"))
JOBS: dict[str, Any] = WORKFLOW["jobs"]


def test_the_version_is_written_once():
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["hatch"]["version"] == {"path": "gofau/__init__.py"}
    pages = ("README.md", "pyproject.toml", "Makefile", "Dockerfile", ".github/workflows/ci.yml")
    assert [page for page in pages if __version__ in text(page)] == []


def test_the_changelog_has_the_version_and_its_day():
    heads = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert heads[:2] == ["Unreleased", f"{__version__} ({CITATION['date-released']})"]


def test_the_citation():
    """The fields that Citation File Format 1.2.0 demands, and the paper."""
    assert CITATION["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= CITATION.keys()
    assert CITATION["version"] == __version__
    assert CITATION["license"] == PROJECT["project"]["license"]
    (paper,) = CITATION["references"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert [author["family-names"] for author in paper["authors"]] == [
        "Kirtas",
        "Passalis",
        "Tefas",
    ]
    # As the package's links and the page about the paper have them.
    links = PROJECT["project"]["urls"].values()
    assert {paper["url"], f"https://doi.org/{paper['doi']}"} == set(links)
    assert paper["title"] in " ".join(text("docs/paper.md").replace("*", "").split())
    assert paper["url"] in text("README.md")


def made(script: str) -> list[str]:
    """The calls of make in a shell script, in their order."""
    first = (
        r"(?:^|\|\||&&|;)\s*"  # where a command begins, so no comment and no package of that name
    )
    return re.findall(rf"{first}(make [a-z-]+(?: ARGS=\S+)?)", script, re.MULTILINE)


def run_by(*jobs: str) -> str:
    """All that these jobs run."""
    steps = [step for job in jobs for step in JOBS[job]["steps"]]
    return "\n".join(step["run"] for step in steps if "run" in step)


def differences(script: str, workflow: str) -> set[str]:
    """The calls of make that only one of them has."""
    return {*made(script)} ^ {*made(workflow)}


def test_the_workflow_runs_what_ci_runs():
    script = text(".ci/run")
    assert {"make check", "make train", "make test", "make test-long"} <= {*made(script)}
    assert "make test-slurm ARGS=--last-failed" in made(script)
    assert made(run_by("test", "slurm")) == made(script)


@pytest.mark.parametrize("command", made(text(".ci/run")))
def test_a_command_that_one_of_them_lacks_is_found(command):
    script = text(".ci/run")
    shorter = re.sub(rf"{re.escape(command)}(?![\w-]| ARGS)", "true", script)
    assert differences(shorter, run_by("test", "slurm")) == {command}
    assert differences(script + "\nmake docs\n", script) == {"make docs"}


def test_every_python_of_the_package_is_tested():
    tested = JOBS["test"]["strategy"]["matrix"]["python"]
    said = "Programming Language :: Python :: "
    names = [line.removeprefix(said) for line in PROJECT["project"]["classifiers"] if said in line]
    assert tested == [name for name in names if "." in name] == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["project"]["requires-python"] == f">={tested[0]}"


def test_the_oldest_torch_that_the_package_allows_is_tested():
    (oldest,) = PROJECT["project"]["dependencies"]
    (tested,) = re.findall(r'"torch==(\d+\.\d+)\.0"', run_by("oldest-torch"))
    assert oldest == f"torch>={tested}"
    assert f"torch {tested}" in JOBS["oldest-torch"]["name"]


def test_only_prereleases_may_fail():
    assert {name for name, job in JOBS.items() if job.get("continue-on-error")} == {"prereleases"}
    assert all(job["timeout-minutes"] <= 90 for job in JOBS.values())
    wanted = re.findall(r'"([\w-]+)>=([\d.]+)rc0"', run_by("prereleases"))
    assert wanted == [("hydra-core", "1.4.0"), ("omegaconf", "2.4.0")]
    assert "--pre" in run_by("prereleases")


def test_the_bare_machine_gets_what_ci_installs():
    (names,) = re.findall(r"--no-install-recommends (.+)", run_by("slurm"))
    wanted = re.findall(r"missing\+=\(([^)]+)\)", text(".ci/run"))
    assert set(names.split()) == set(" ".join(wanted).split())


def test_the_image_makes_targets_that_exist():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = set(re.findall(r"^  make ([a-z-]+)", listed.stdout, re.MULTILINE))
    recipe = text("Dockerfile")
    (install,) = re.findall(r"^RUN make (\S+)$", recipe, re.MULTILINE)
    (default,) = re.findall(r'^ENTRYPOINT \["make"\]\nCMD \["(\S+)"\]$', recipe, re.MULTILINE)
    assert (install, default) == ("install", "train")
    assert {install, default} <= targets


def test_the_image_takes_no_environment_data_or_runs_from_the_machine():
    ignored = set(text(".dockerignore").splitlines())
    assert {".git", ".venv", "runs", "data", "outputs", "wandb", "build", "dist"} <= ignored
