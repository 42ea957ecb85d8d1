"""What a run counts as, for a sweeper and in one line, whatever its metric."""

import math

import pytest

from gofau.runs.outcome import metric, objective, summary

LOSS = {"name": "loss", "title": "reconstruction loss", "higher_is_better": False}
LOSS |= {"chance": None, "format": ".5f"}
ACC = {"name": "acc", "title": "accuracy", "higher_is_better": True, "chance": 0.25}
ACC |= {"format": ".2%"}
RESULT = {"val/loss": 0.5, "val/acc": 0.75, "test/loss": 0.25, "test/acc": 0.7, "seconds": 1.25}


def status(judged, state="done", **more):
    return {"state": state, "result": RESULT | more, "metric": judged}


@pytest.mark.parametrize(
    ("judged", "state", "value", "expected"),
    [
        (ACC, "done", 0.75, 0.75),
        (ACC, "diverged", 0.75, 0.25),
        (ACC, "done", None, 0.25),
        (LOSS, "done", 0.5, 0.5),
        (LOSS, "diverged", 0.5, math.inf),
        (LOSS, "done", None, math.inf),
        (LOSS | {"higher_is_better": True}, "diverged", 0.5, -math.inf),
    ],
)
def test_the_objective_and_what_a_diverged_run_counts_as(judged, state, value, expected):
    assert objective(status(judged, state, **{f"val/{judged['name']}": value})) == expected


def test_a_record_without_a_metric_is_of_an_accuracy():
    old = {"state": "done", "result": RESULT, "classes": 5}
    assert metric(old) == ACC | {"chance": 0.2}
    assert objective(old) == 0.75
    assert objective(old | {"state": "diverged"}) == 0.2
    assert summary(old) == "test accuracy 70.00%, 1.2 s of training"


def test_the_line_for_people():
    assert summary(status(LOSS)) == "test reconstruction loss 0.25000, 1.2 s of training"
    lost = status(LOSS, "diverged", **{"test/loss": None}) | {
        "divergence": {"step": 7, "reason": "the training loss is not finite"}
    }
    assert summary(lost) == "step 7: the training loss is not finite, 1.2 s of training"
