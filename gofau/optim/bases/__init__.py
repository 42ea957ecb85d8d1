"""SGD, Adagrad, RMSprop, Adam and AdamW: torch's optimizers, with a choice of rule and step size.
And Lion and SignSGD, which torch does not have. One file per base: its direction and its optimizer
class.

Each takes torch's own arguments first, in torch's order, with torch's defaults and meaning; without
a rule or a step size the optimizer is torch's. All have these further keyword-only arguments:

``rule`` ("additive")
    "additive", "multiplicative", "hybrid", "exponential", "power", "hypentropy", or a rule that you
    registered.
``stepsize`` ("base")
    "base", the base's own l; "trust_ratio", l times ‖θ‖/‖d‖ per tensor, which turns AdamW into LAMB
    and SGD with momentum into LARS; or a step size that you registered (`gofau.optim.stepsize`).
``post_step`` ("none")
    what moves the weights once more after the step: "none"; "ham", the hyperbolic step of HAM; or a
    post step that you registered (`gofau.optim.post_steps`).
``eta_in``, ``eta_out``, ``gamma``
    η_in, η_out and γ of the rules that have them (`gofau.optim.hyperparameters`). ``eta_out=None``
    means η_out = η, so that one number, and any scheduler of it, controls every rule.
``zero_init`` ("additive")
    treatment of tensors that are all zero at the start, if the rule could never move them:
    "additive" gives them the additive rule, "freeze" (the literal reading of the paper) does not.
``rule_options``
    hyperparameters of rules, step sizes and post steps that are not listed here.

All of them are in ``param_groups``, where they can be set per group or changed by a schedule. A
hyperparameter out of range, or a complex parameter, raises a ValueError, a sparse gradient a
RuntimeError. Differences to torch: bfloat16 and float16 are stepped in float32 and rounded once, on
every path (in torch only the fused optimizers do so); SGD and Adagrad have ``capturable``, RMSprop
has ``fused``. `optim.execution.dispatch` chooses how a step is executed; the result is the same.

    >>> import torch, gofau.optim
    >>> model = torch.nn.Linear(4, 2)
    >>> optimizer = gofau.optim.Adam(model.parameters(), lr=1e-3, rule="hybrid", gamma=0.3)
    >>> model(torch.ones(3, 4)).square().mean().backward()
    >>> optimizer.step()

Sources: arXiv 2307.07189 for the framework and its rules, arXiv 2006.14560 for the exponential one.
"""
