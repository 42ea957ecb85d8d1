"""The command line: turns a command into runs, and a mistake in it into one sentence."""
