"""What all tests share."""

import os
import signal

import pytest
from hypothesis import settings

# In CI the same examples each time, so that a red run is the change's; elsewhere new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")

# A shell's background job ignores Ctrl-C, and what it starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped, and why: a skip is never silent."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = {str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)}
    terminalreporter.write_line(f"skipped: {len(skipped)}")
    for reason in sorted(reasons):
        terminalreporter.write_line(f"  {reason}")
