"""PyTorch optimizers with multiplicative, hybrid, exponential and other update rules, with step
sizes per layer, and with post steps. The only dependency is torch.

>>> from gofau.optim import Adam
"""

from gofau.optim.attachment.attach import attach
from gofau.optim.attachment.handle import Attached, attached
from gofau.optim.bases.adagrad import Adagrad
from gofau.optim.bases.adam import Adam, AdamW
from gofau.optim.bases.fromage import Fromage
from gofau.optim.bases.lion import Lion
from gofau.optim.bases.madam import Madam
from gofau.optim.bases.nero import Nero
from gofau.optim.bases.rmsprop import RMSprop
from gofau.optim.bases.sgd import SGD
from gofau.optim.bases.signsgd import SignSGD
from gofau.optim.diagnostics import observe
from gofau.optim.groups import ParamGroups, param_groups
from gofau.optim.hyperparameters import Hyperparameter
from gofau.optim.integer.madam import IntegerMadam
from gofau.optim.layerwise import Layerwise, LayerwiseExact
from gofau.optim.monitor import Monitor, monitor
from gofau.optim.neuron import Neuron
from gofau.optim.optimizer import RuleOptimizer
from gofau.optim.post_steps import POST_STEPS, get_post_step, register_post_step
from gofau.optim.rules import RULES, Rule, get_rule, register_rule
from gofau.optim.stepsize import (
    STEPSIZES,
    Evidence,
    Layer,
    StepSize,
    get_stepsize,
    register_stepsize,
)
from gofau.optim.trust_ratio import TrustRatio

__all__ = [
    "POST_STEPS",
    "RULES",
    "SGD",
    "STEPSIZES",
    "Adagrad",
    "Adam",
    "AdamW",
    "Attached",
    "Evidence",
    "Fromage",
    "Hyperparameter",
    "IntegerMadam",
    "Layer",
    "Layerwise",
    "LayerwiseExact",
    "Lion",
    "Madam",
    "Monitor",
    "Nero",
    "Neuron",
    "ParamGroups",
    "RMSprop",
    "Rule",
    "RuleOptimizer",
    "SignSGD",
    "StepSize",
    "TrustRatio",
    "attach",
    "attached",
    "get_post_step",
    "get_rule",
    "get_stepsize",
    "monitor",
    "observe",
    "param_groups",
    "register_post_step",
    "register_rule",
    "register_stepsize",
]
