"""``python -m palate`` is the command line."""

from palate.cli import main

if __name__ == "__main__":
    main()
