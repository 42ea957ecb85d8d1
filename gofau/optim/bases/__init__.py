"""SGD, Adagrad, RMSprop, Adam and AdamW: torch's optimizers, with a choice of rule and step size.
And Lion and SignSGD, which torch does not have. One file per base: its direction, and the
optimizer of it.

Each takes torch's own arguments first, in torch's order, with torch's defaults and meaning; nothing
changes until a rule or a step size is asked for. These, keyword only, are added to all:

``rule`` ("additive")
    "additive", "multiplicative", "hybrid", "exponential", "power", "hypentropy", or a
    registered one of your own.
``stepsize`` ("base")
    "base", the base's own l; "trust_ratio", l times ‖θ‖/‖d‖ per tensor, which makes LAMB of AdamW
    and LARS of SGD with momentum; or a registered one of your own (`gofau.optim.stepsize`).
``eta_in``, ``eta_out``, ``gamma``
    η_in, η_out and γ of the rules that have them (`gofau.optim.hyperparameters`). ``eta_out=None``
    means η_out = η, so that one number and every scheduler of it drives every rule alike.
``zero_init`` ("additive")
    what tensors get that are all zero at the start, where the rule could never move them: the
    additive rule, or "freeze", the literal reading.
``rule_options``
    hyperparameters that a registered rule or step size alone has.

All of it lives in ``param_groups``, to be set per group or driven by a schedule. A hyperparameter
out of its range, or a complex parameter, is a ValueError in one sentence, a sparse gradient a
RuntimeError. Beyond torch's: bfloat16 and float16 are stepped in float32 and rounded once on every
path, as torch does in its fused optimizers alone; SGD and Adagrad have ``capturable``, RMSprop has
``fused``. `optim.execution.dispatch` tells how a step is carried out; the result is the same.

    >>> import torch, gofau.optim
    >>> model = torch.nn.Linear(4, 2)
    >>> optimizer = gofau.optim.Adam(model.parameters(), lr=1e-3, rule="hybrid", gamma=0.3)
    >>> model(torch.ones(3, 4)).square().mean().backward()
    >>> optimizer.step()

Sources: arXiv 2307.07189 for the framework and its rules, arXiv 2006.14560 for the exponential one.
"""
