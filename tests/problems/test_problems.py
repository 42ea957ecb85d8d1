"""The two members of the contract, against formulas written out here."""

import math

import numpy as np
import pytest
import torch

from gofau.data import ImageData, Images
from gofau.engine.evaluation import evaluate
from gofau.errors import UserError
from gofau.problems import Loading
from gofau.problems.image_classification import ImageClassification
from gofau.problems.reconstruction import Reconstruction

KEYS = {"val_fraction": 0.25, "split_seed": 0, "train_size": None}
KEYS |= {"augment": {"crop": 0, "flip": False, "cutout": 0}}
LOADING = Loading(batch_size=8, eval_batch_size=4)


@pytest.fixture(scope="module")
def data():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
    images = Images(pixels, np.arange(40) % 5)
    return ImageData("noise", tuple("abcde"), images, images.take(np.arange(11)))


def test_a_classifiers_loss_and_right_answers():
    problem = ImageClassification(label_smoothing=0.2)
    logits = torch.randn(7, 5)
    labels = torch.arange(7) % 5
    batch = (torch.zeros(7, 1, 4, 4), labels)
    loss, (right,) = problem.loss(logits, batch, training=True)
    p = logits.double().softmax(1).log()
    target = 0.8 * torch.nn.functional.one_hot(labels, 5) + 0.2 / 5
    assert loss.item() == pytest.approx(-(target * p).sum(1).mean().item(), rel=1e-6)
    assert right == sum(int(a.argmax()) == int(b) for a, b in zip(logits, labels, strict=True))
    plain, _ = problem.loss(logits, batch, training=False)
    assert plain.item() == pytest.approx(-p[torch.arange(7), labels].mean().item(), rel=1e-6)
    assert (problem.inputs(batch)[0] is batch[0], problem.count(batch)) == (True, 7)


def test_reconstructions_loss_is_the_squared_error_per_pixel():
    problem, x, y = Reconstruction(), torch.rand(3, 1, 4, 4), torch.rand(3, 1, 4, 4)
    loss, metrics = problem.loss(y, (x, torch.arange(3)), training=True)
    errors = x.numpy().astype(float) - y.numpy().astype(float)
    assert loss.item() == pytest.approx(float((errors**2).mean()), rel=1e-5)
    assert metrics == ()
    assert problem.count((x,)) == 3


def test_what_a_classifier_is_given(data):
    task = ImageClassification().task(data, KEYS, LOADING)
    assert task.model == {"shape": (1, 4, 4), "num_classes": 5}
    assert (task.metric.name, task.metric.chance) == ("acc", 0.2)
    assert task.metric.higher_is_better
    assert task.facts["images"] == {"train": 30, "validation": 10, "test": 11}
    x = torch.cat([x for x, _ in task.train.epoch()])
    assert x.mean().item() == pytest.approx(0, abs=1e-6)
    assert x.std(correction=0).item() == pytest.approx(1, rel=1e-5)
    assert [task.test.count(i) for i in range(len(task.test))] == [4, 4, 3]


def test_an_autoencoder_is_given_pixels_from_0_to_1(data):
    task = Reconstruction().task(data, KEYS, LOADING)
    assert task.model == {"shape": (1, 4, 4)}
    assert (task.metric.name, task.metric.higher_is_better) == ("loss", False)
    assert task.metric.chance is None
    x = torch.cat([x for x, _ in task.test.epoch()])
    assert torch.equal((255 * x).round().byte()[:, 0], torch.from_numpy(data.test.pixels[..., 0]))


def test_a_mean_over_examples_is_exact_over_a_ragged_last_batch(data):
    """11 images in batches of 4, 4 and 3: a mean of the batches' means would be another number."""
    task = Reconstruction().task(data, KEYS, LOADING)
    gray = torch.nn.Linear(16, 16)
    torch.nn.init.zeros_(gray.weight)
    torch.nn.init.constant_(gray.bias, 0.5)
    model = torch.nn.Sequential(torch.nn.Flatten(), gray, torch.nn.Unflatten(1, (1, 4, 4)))
    found = evaluate(Reconstruction(), model, task.test)
    pixels = data.test.pixels.astype(float) / 255
    assert found == {"loss": pytest.approx(float(((pixels - 0.5) ** 2).mean()), rel=1e-6)}
    batches = [((pixels[i : i + 4] - 0.5) ** 2).mean() for i in (0, 4, 8)]
    assert not math.isclose(found["loss"] or 0, float(np.mean(batches)), rel_tol=1e-4)


@pytest.mark.parametrize("problem", [ImageClassification(), Reconstruction()])
def test_data_that_is_no_images_is_refused(problem):
    with pytest.raises(UserError, match=r"problem=\w+ needs a data set of images, not a dict"):
        problem.task({}, KEYS, LOADING)
