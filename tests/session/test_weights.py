"""The weights that a run keeps, and what they are worth."""

import pytest
import torch
import yaml

from gofau.errors import UserError
from gofau.evaluate.__main__ import main
from gofau.runs import Run, identity
from gofau.session.build import build
from gofau.session.evaluation import evaluate_run
from gofau.session.weights import Weights, read

QUICK = ["debug=fast", "model=mlp", "model.hidden=[16]", "trainer.limit_batches=null"]


def test_a_single_run_keeps_its_last_weights_which_give_its_results_again(train, capsys):
    assert train(*QUICK, "trainer.epochs=2")[0] == 0
    (folder,) = train.runs()
    result = train.status(folder)["result"]
    kept = torch.load(folder / "weights.pt", weights_only=True)
    assert (kept["epoch"], kept["value"]) == (2, result["val/acc"])
    found = evaluate_run(folder, {})
    assert found == {key: result[key] for key in ("val/loss", "val/acc", "test/loss", "test/acc")}
    main([str(folder), "--data", "cache_dir=elsewhere"])
    assert f"test/acc   {result['test/acc']:.6g}" in capsys.readouterr().out


def test_integers_are_kept_as_integers_and_their_bytes_are_recorded(train):
    words = [*QUICK, "optimizer=integer_madam", "trainer.epochs=2"]
    assert train(*words)[0] == 0
    (folder,) = train.runs()
    result = train.status(folder)["result"]
    kept = torch.load(folder / "weights.pt", weights_only=True)
    assert (kept["format"], kept["model"]) == (2, {})
    held = sum(entry["packed"].nbytes for entry in kept["packed"].values())
    count = 64 * 16 + 16 + 16 * 10 + 10
    assert 0 <= held - count * 13 / 8 < 4  # 12 bits and the sign; bytes are filled up per tensor
    assert (folder / "weights.pt").stat().st_size == result["weights/bytes"]
    found = evaluate_run(folder, {})
    assert found == {key: result[key] for key in ("val/loss", "val/acc", "test/loss", "test/acc")}
    assert train(*words, "optimizer=adam")[0] == 0
    (other,) = [path for path in train.runs() if path != folder]
    theirs = train.status(other)["result"]
    whole = (other / "weights.pt").stat().st_size
    assert {theirs["weights/bytes"], theirs["weights/float32_bytes"]} == {whole}
    assert result["weights/float32_bytes"] == whole
    # The file's header and the settings of each tensor are bytes, too.
    assert held < result["weights/bytes"] < whole < 4 * count + 3000


def test_weights_that_are_no_numbers_are_kept_as_they_are(train):
    words = [*QUICK, "optimizer=integer_madam", "trainer.epochs=2"]
    assert train(*words)[0] == 0
    (folder,) = train.runs()
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    built = build(config)
    weights = Weights(Run(config), built, resumed=True)
    with torch.no_grad():
        next(built.trainer.model.parameters())[0, 0] = torch.nan
    weights.end()
    assert read(folder / "weights.pt")["model"]["1.weight"][0, 0].isnan()


def test_best_is_of_the_best_epoch_on_the_validation_part(train):
    words = [*QUICK, "trainer.epochs=4", "optimizer.lr=0.6", "rule=additive", "scheduler=constant"]
    assert train(*words, "trainer.keep=best")[0] == 0
    (folder,) = train.runs()
    values = [float(row["val/acc"]) for row in train.rows(folder)]
    kept = torch.load(folder / "weights.pt", weights_only=True)
    assert values[-1] < max(values)  # else last would do as well
    assert kept["value"] == max(values) == values[kept["epoch"] - 1]
    assert evaluate_run(folder, {})["val/acc"] == max(values)


def test_a_sweep_keeps_none_unless_asked(train):
    assert train("-m", *QUICK, "trainer.epochs=1")[0] == 0
    (folder,) = train.runs()
    assert not (folder / "weights.pt").exists()
    with pytest.raises(UserError, match=r"there is no .*weights\.pt: .*trainer\.keep=last"):
        evaluate_run(folder, {})
    assert train("-m", *QUICK, "trainer.epochs=1", "trainer.keep=last", "rerun=true")[0] == 0
    assert (folder / "weights.pt").exists()
    assert train(*QUICK, "trainer.epochs=1", "trainer.keep=none", "rerun=true")[0] == 0
    assert not (folder / "weights.pt").exists()


def test_bad_words_and_files(train):
    assert train(*QUICK)[0] == 0
    (folder,) = train.runs()
    with pytest.raises(UserError, match=r"has no such key .* Did you mean 'data_dir'"):
        main([str(folder), "--data", "data_di=x"])
    with pytest.raises(UserError, match="takes KEY=VALUE"):
        main([str(folder), "--data", "x"])
    with pytest.raises(UserError, match="is not the folder of a run"):
        main([str(folder / "x")])
    (folder / "weights.pt").write_bytes((folder / "weights.pt").read_bytes()[:-500])
    with pytest.raises(UserError, match="is not a complete file of weights"):
        main([str(folder)])


def test_it_is_no_part_of_what_a_run_is():
    from gofau.config.grid import grid
    from tests.command_line import ROOT

    names = {
        identity(config) for _, config in grid(ROOT / "configs", ["trainer.keep=last,best,none"])
    }
    assert len(names) == 1
