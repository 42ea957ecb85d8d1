"""Data-parallel training: several processes, started by ``torchrun``, train one model."""

import atexit
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gofau.engine.sync_batchnorm import synchronised


@dataclass(frozen=True)
class World:
    """The processes of a run; by default there is one.

    Args:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes the record and prints to the user."""
        return self.rank == 0

    def sum(self, x: Tensor) -> Tensor:
        """The sum of x over all processes, the same in each."""
        if self.size > 1:
            dist.all_reduce(x)
        return x

    def agree(self, value: Any) -> Any:
        """The first process's value, in all processes."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def all(self, value: Any) -> list[Any]:
        """The values of all processes, by rank."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def wrap(self, model: nn.Module) -> nn.Module:
        """The module to call in training instead of ``model``: it averages gradients over the
        processes while they are computed (DistributedDataParallel)."""
        # DistributedDataParallel refuses a model that has nothing to train.
        if self.size == 1 or not any(p.requires_grad for p in model.parameters()):
            return model
        return DistributedDataParallel(model)

    def prepare(self, model: nn.Module) -> nn.Module:
        """The model with BatchNorm over the whole batch instead of one process's share of it, so
        that a run does not depend on the number of processes."""
        return model if self.size == 1 else synchronised(model)


def join(device: torch.device) -> World:
    """Join the processes that torchrun started; without torchrun, a world of one process."""
    if not dist.is_available() or not dist.is_torchelastic_launched():
        return World()
    if not dist.is_initialized():
        gpu = device.type == "cuda"
        if gpu:
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if gpu else "gloo", device_id=device if gpu else None)
        atexit.register(dist.destroy_process_group)
        # torchrun sets one thread per process, which is only a guess: divide the cores instead.
        if not gpu and "OMP_NUM_THREADS" in os.environ:
            local = int(os.environ.get("LOCAL_WORLD_SIZE", dist.get_world_size()))
            torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // local))
    return World(dist.get_rank(), dist.get_world_size())
