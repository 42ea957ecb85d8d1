"""Configurations: composed, checked, drawn from ranges, and expanded to the runs of a sweep."""
