"""`python -m antiphon.cli` is `antiphon`."""

import sys

from .entry import main

if __name__ == "__main__":
    sys.exit(main())
