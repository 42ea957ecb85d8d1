"""The command line: what is typed becomes runs, and what goes wrong one sentence."""
