"""What all tests share."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped, and why: a skip is never silent."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = {str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)}
    terminalreporter.write_line(f"skipped: {len(skipped)}")
    for reason in sorted(reasons):
        terminalreporter.write_line(f"  {reason}")
