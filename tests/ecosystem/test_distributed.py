"""Two processes over gloo give what one process gives on the joint batch: DDP and FSDP2."""

import os
import socket
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.multiprocessing.spawn import spawn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from tests.ecosystem.nets import assert_same, batches, model, optimizer, plain

RULES = ["additive", "multiplicative", "hybrid", "exponential"]
WORLD = 2


def one_process(rule):
    net = zero_biases(model())
    return plain(net, optimizer(net, rule=rule), batches(16))


def zero_biases(net):
    """Tensors that are zero at the start, which zero_init has to notice on every rank alike."""
    with torch.no_grad():
        net[0].bias.zero_()
    return net


def train(net, opt, rank):
    for x, y in batches(16):
        opt.zero_grad()
        half = slice(rank * 8, rank * 8 + 8)
        cross_entropy(net(x[half]), y[half]).backward()
        opt.step()


def with_ddp(rank, rule):
    net = zero_biases(model())
    wrapped = DistributedDataParallel(net)
    train(wrapped, optimizer(net, rule=rule), rank)
    return {name: p.detach() for name, p in net.named_parameters()}


def with_fsdp2(rank, rule):
    net = zero_biases(model())
    mesh = init_device_mesh("cpu", (WORLD,))
    fully_shard(net[0], mesh=mesh)
    fully_shard(net, mesh=mesh)
    train(net, optimizer(net, rule=rule), rank)
    whole = {}
    for name, p in net.named_parameters():
        assert isinstance(p, DTensor)
        whole[name] = p.full_tensor().detach()
    return whole


def work(rank, kind, port, folder):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=WORLD, timeout=timedelta(seconds=60))
    try:
        ends = {rule: kind(rank, rule) for rule in RULES}
    finally:
        dist.destroy_process_group()
    if rank == 0:
        torch.save(ends, folder / "ends.pt")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [with_ddp, with_fsdp2])
def test_two_processes_are_one(kind, tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    spawn(work, args=(kind, port, tmp_path), nprocs=WORLD, join=True)
    ends = torch.load(tmp_path / "ends.pt", weights_only=True)
    for rule in RULES:
        assert_same(ends[rule], one_process(rule), rtol=1e-4, atol=1e-6)
