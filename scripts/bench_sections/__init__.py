"""The sections of ``scripts/bench_train.py``, one per file.

Each has ``measure(quick)``, which yields each row as soon as it is measured.
"""
