"""Lightning's Trainer and Hugging Face Accelerate give what the plain loop gives."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from tests.ecosystem.nets import assert_same, batches, data, model, optimizer, plain, weights

# Their own warnings (at import, about a small loader) are shown, and are not errors of ours.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
RULES = ["additive", "multiplicative", "hybrid", "exponential"]


def loader():
    return DataLoader(TensorDataset(*data()), batch_size=8, shuffle=False)


@pytest.mark.parametrize("rule", RULES)
def test_lightning(rule, tmp_path):
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = model()

        def training_step(self, batch, index):
            x, y = batch
            return cross_entropy(self.net(x), y)

        def configure_optimizers(self):
            opt = optimizer(self.net, rule=rule)
            schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda t: 1.0)
            return [opt], [schedule]

    module = Module()
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, loader())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    net = model()
    assert_same(weights(module.net), plain(net, optimizer(net, rule=rule), batches()))
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["optimizer_states"][0]["param_groups"][0]["rule"] == rule


@pytest.mark.parametrize("rule", RULES)
def test_accelerate(rule, tmp_path):
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    net = model()
    prepared, opt, batches_of = accelerator.prepare(net, optimizer(net, rule=rule), loader())
    for _ in range(2):
        for x, y in batches_of:
            with accelerator.accumulate(prepared):
                accelerator.backward(cross_entropy(prepared(x), y))
                opt.step()
                opt.zero_grad()
    accelerator.save_state(str(tmp_path / "state"))
    accelerator.load_state(str(tmp_path / "state"))
    got = weights(accelerator.unwrap_model(prepared))
    net = model()
    assert_same(got, plain(net, optimizer(net, rule=rule), batches(16)), rtol=1e-4, atol=1e-6)
