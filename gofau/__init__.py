"""PyTorch optimizers with multiplicative, hybrid and other update rules, and the suite that tests
what is claimed of them."""

__version__ = "0.2.0"
"""The version, written here only: packages, records and CITATION.cff follow it."""
