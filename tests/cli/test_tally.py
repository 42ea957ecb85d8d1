"""How far a sweep is, from the events of its runs."""

import pytest

from gofau.cli.tally import Tally


def tally(total: int, *events: tuple[float, dict]) -> Tally:
    made = Tally(total)
    for now, event in events:
        made.take(event, now)
        made.pace(now)
    return made


def pace(made: Tally, now: float) -> tuple[float, float]:
    found = made.pace(now)
    assert found is not None
    return found


def start(run: int, folder: str = "nowhere") -> dict:
    return {"run": run, "state": "running", "folder": folder, "epochs": 4}


def test_nothing_is_known_before_a_run_ends():
    made = tally(4, (10.0, {"run": 0, "state": "running"}), (20.0, start(0)))
    assert made.text(30.0) == "0/4 runs  1 running"


def test_speed_and_time_left_count_from_the_first_training():
    events = [(100.0, start(0)), (100.0, start(1)), (130.0, {"run": 0, "state": "done"})]
    made = tally(10, *events, (130.0, {"run": 1, "state": "diverged"}))
    speed, left = pace(made, 130.0)
    assert speed == pytest.approx(2 / 30)
    assert left == pytest.approx(8 / speed)
    assert made.text(130.0) == "2/10 runs  1 done, 1 diverged  4.0 runs/min  2:00 left"
    # Until something else ends, the speed stays, and the clock runs.
    assert made.pace(150.0) == (pytest.approx(speed), pytest.approx(left - 20))
    assert made.text(999.0).endswith("0:00 left")


def test_few_runs_are_counted_per_hour():
    made = tally(2, (0.0, start(0)), (3600.0, {"run": 0, "state": "done"}))
    assert made.text(3600.0) == "1/2 runs  1 done  1.0 runs/h  1:00:00 left"


def test_epochs_of_a_run_that_goes_on_count(tmp_path):
    made = tally(2, (0.0, start(0, str(tmp_path))))
    (tmp_path / "metrics.csv").write_text("epoch,seconds\n1,10.0\n")
    speed, left = pace(made, 10.0)
    assert (speed, left) == (pytest.approx(0.25 / 10), pytest.approx(1.75 / 0.025))
    assert made.only() == f"  {tmp_path.name} epoch 1/4"
    made.take(start(1, str(tmp_path)), 11.0)
    assert made.only() == ""


def test_runs_that_were_done_before_say_nothing_about_the_speed():
    before = [(0.0, {"run": i, "state": "done", "before": "runs/x"}) for i in range(5)]
    made = tally(10, *before, (0.0, start(5)), (30.0, {"run": 5, "state": "done"}))
    speed, left = pace(made, 30.0)
    assert (speed, left) == (pytest.approx(1 / 30), pytest.approx(4 * 30))
    assert made.ended() == 6


def test_a_run_that_begins_again_is_running():
    made = tally(1, (0.0, start(0)), (1.0, {"run": 0, "state": "interrupted"}))
    assert made.states() == "1 interrupted"
    made.take(start(0), 2.0)
    assert made.states() == "1 running"
    assert made.states(ended=True) == ""
