"""Prints `.env.example`: `python -m ops.config`."""

import sys

from ops.config import example

sys.stdout.write(example())
