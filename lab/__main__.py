"""``python -m lab``."""

from lab.cli import run

run()
