"""`python -m studio`: the command line without its console script."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main())
