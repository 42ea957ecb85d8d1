"""What older versions of torch do not have."""

import inspect

import pytest
import torch

FLAGGED = "decoupled_weight_decay" in inspect.signature(torch.optim.Adam).parameters
"""Whether torch's Adam can have decoupled weight decay, and a learning rate that is a tensor of one
element: from torch 2.7 on."""
flagged = pytest.mark.skipif(not FLAGGED, reason="torch's Adam has no decoupled_weight_decay")
