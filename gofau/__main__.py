"""``python -m gofau``: the command ``gofau``."""

from gofau.cli.command import main

if __name__ == "__main__":
    main()
