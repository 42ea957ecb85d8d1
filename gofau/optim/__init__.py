"""PyTorch optimizers with multiplicative, hybrid, exponential and power update rules. Needs torch
alone.

>>> from gofau.optim import Adam
"""

from gofau.optim.attachment.attach import attach
from gofau.optim.attachment.handle import Attached, attached
from gofau.optim.bases import SGD, Adagrad, Adam, AdamW, RMSprop
from gofau.optim.diagnostics import observe
from gofau.optim.groups import ParamGroups, param_groups
from gofau.optim.hyperparameters import Hyperparameter
from gofau.optim.integer.madam import IntegerMadam
from gofau.optim.monitor import Monitor, monitor
from gofau.optim.optimizer import RuleOptimizer
from gofau.optim.rules import RULES, Rule, get_rule, register_rule

__all__ = [
    "RULES",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Attached",
    "Hyperparameter",
    "IntegerMadam",
    "Monitor",
    "ParamGroups",
    "RMSprop",
    "Rule",
    "RuleOptimizer",
    "attach",
    "attached",
    "get_rule",
    "monitor",
    "observe",
    "param_groups",
    "register_rule",
]
