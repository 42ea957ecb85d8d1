"""The baseline: a training loop as most people write it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from .workload import CROP

WORKERS = 2


class Pictures(Dataset[tuple[Tensor, int]]):
    """uint8 arrays, transformed one by one, as torchvision's CIFAR10 does it.

    Args:
        pixels: uint8, shape (N, H, W, C).
        labels: shape (N,).
    """

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        size, channels = pixels.shape[1], pixels.shape[3]
        moves = [transforms.RandomCrop(size, padding=CROP), transforms.RandomHorizontalFlip()]
        statistics = ((0.5,) * channels, (0.25,) * channels)
        self.transform: Callable[[Any], Tensor] = transforms.Compose(
            [
                *(moves if size >= 32 else []),
                transforms.ToTensor(),
                transforms.Normalize(*statistics),
            ]
        )
        self.pixels = pixels.squeeze(3) if channels == 1 else pixels  # PIL: grey has no channel
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


class Plain:
    """float32, NCHW, a DataLoader with two workers, ``loss.item()`` at every step.

    Args:
        model: on the device where it is to be trained.
        pixels: uint8, shape (N, H, W, C).
        labels: shape (N,).
        batch_size: images per batch.
    """

    def __init__(
        self, model: nn.Module, pixels: np.ndarray, labels: np.ndarray, batch_size: int
    ) -> None:
        self.model = model.train()
        self.device = next(model.parameters()).device
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        self.loss = nn.CrossEntropyLoss()
        self.loader = DataLoader(
            Pictures(pixels, labels),
            batch_size=batch_size,
            shuffle=True,
            num_workers=WORKERS,
            pin_memory=self.device.type == "cuda",
        )
        self.running = 0.0
        self.first = self._first()

    def _first(self) -> float:
        began = time.perf_counter()
        self._step(*next(iter(self.loader)))
        return time.perf_counter() - began

    def round(self) -> float:
        """Images per second over an epoch. The clock starts when the first batch is there, so
        starting the workers, and what they fetch in that time, cost the plain loop nothing."""
        batches = iter(self.loader)
        x, y = next(batches)
        began, images = time.perf_counter(), len(y)
        self._step(x, y)
        for x, y in batches:
            images += len(y)
            self._step(x, y)
        return images / (time.perf_counter() - began)

    def _step(self, x: Tensor, y: Tensor) -> None:
        x, y = x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.running += loss.item()
