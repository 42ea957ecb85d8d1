"""The sections of ``scripts/bench_train.py``, one a file.

Each has ``measure(quick)``, which yields rows as it finds them.
"""
