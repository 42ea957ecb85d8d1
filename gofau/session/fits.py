"""Whether a run fits: into memory, and its last batch into BatchNorm.

Both are checked before training, because torch would fail late, or not at all: Linux promises more
memory than there is, and kills the process that uses it.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gofau.data.memory import available, gigabytes
from gofau.engine.compute import Compute
from gofau.errors import UserError
from gofau.problems import Task
from gofau.session.construct import Config, make

COPIES = 3
"""A run needs at least the weights, their gradient, and a copy of the weights to measure the loss
before and after training."""
NO_MEMORY = (
    *("can't allocate memory", "not enough memory", "Storage size calculation overflowed"),
    "integer multiplication overflow",
)
"""What torch says where there is no exception of its own for it."""


_sizes: dict[str, tuple[int, int]] = {}
"""A model's keys and arguments → its number of parameters, and their bytes. The runs of a sweep ask
for the same one again and again, and to build it takes milliseconds, even without values."""


def check_size(config: Config, given: Mapping[str, Any], device: torch.device) -> None:
    """Check that a model fits into memory, without allocating it.

    Args:
        config: the configuration.
        given: the arguments of the model that the problem supplies.
        device: where it will be trained.

    Raises:
        UserError: it does not.
    """
    name = config["model"]["name"]
    key = repr((config["model"], given))
    try:
        if key not in _sizes:
            with torch.device("meta"):
                parts: list[Tensor] = [*make("model", config["model"], **given).parameters()]
                values = sum(p.numel() for p in parts)
                _sizes[key] = values, sum(p.numel() * p.element_size() for p in parts)
    except Exception as e:
        if not is_out_of_memory(e):
            return  # not every model can be built without values; this one is built and seen
        raise UserError(f"model={name} is too large for any memory: make it smaller") from e
    parameters, size = _sizes[key]
    size *= COPIES
    there = available()
    if device.type == "cuda":
        there = min(there, torch.cuda.get_device_properties(device).total_memory)
    if size > there:
        raise UserError(
            f"model={name} has {parameters:,} parameters: training needs at"
            f" least {gigabytes(size)} of memory, there is {gigabytes(there)}"
        )


def check_last_batch(
    config: Config, model: nn.Module, task: Task, batches: int, to: Compute
) -> None:
    """Check that a batch of one example can be trained on, if there is one among the ``batches`` of
    an epoch: BatchNorm cannot take the variance of a single value.

    Raises:
        UserError: it cannot.
    """
    if min(task.train.count(batch) for batch in (0, batches - 1)) != 1:
        return
    twin = copy.deepcopy(model).train()  # training changes the statistics of BatchNorm
    try:
        with torch.no_grad():
            twin(*(x.to(to.device) for x in task.example))
    except ValueError as e:
        if "more than 1 value per channel" not in str(e):
            raise
        raise UserError(
            f"trainer.batch_size={config['trainer']['batch_size']} leaves a batch of 1 example, of"
            f" which BatchNorm in model={config['model']['name']} has no variance: choose another"
            " batch size, or another dataset.train_size"
        ) from e


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)


def no_memory(config: dict[str, Any]) -> UserError:
    """The sentence for a run that ran out of memory."""
    return UserError(
        f"there is not enough memory for model={config['model']['name']} with"
        f" trainer.batch_size={config['trainer']['batch_size']}"
        f" (trainer.eval_batch_size={config['trainer']['eval_batch_size']}): make one smaller"
    )
