"""Configurations: composes, checks, draws from ranges, and expands them to the runs of a sweep."""
