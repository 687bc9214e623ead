"""The garbage collector leaves reviews and watched objects to reference counting."""

import subprocess
import sys

_PROGRAM = """
import gc, json
from webhook.collector import relax
relax()
seen = []
gc.callbacks.append(lambda phase, info: seen.append(phase))
for _ in range(20):
    held = [json.loads('{"metadata": {"labels": {}}}') for _ in range(300)]
print(len(seen), gc.get_freeze_count() > 1000)
"""


def test_reviews_in_flight_do_not_send_the_collector_through_all_objects() -> None:
    """20 times 900 containers, of which only those of two reviews are alive at once."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "True"]
