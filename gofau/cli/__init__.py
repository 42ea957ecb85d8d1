"""The command line: a command becomes runs, and a mistake in it one sentence."""
