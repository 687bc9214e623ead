"""What a release costs among 500 others in one namespace, against one alone: CPU, in one run.

The cluster is modelled, and so is everybody's time but the processor's; decisions, tables, writes
and admission are the real ones. The model's own share is in both numbers.
"""

import gc
from time import process_time
from typing import Final

from bench.measure import median
from bench.results import Row, at_most
from tests.simulation import quiet
from tests.simulation.crowd import Crowd

_MANY: Final = 500


def measure(rounds: int) -> list[Row]:
    """Release one and many at once; takes about a minute."""
    quiet.hush()
    _cost(1)
    alone = median([_cost(1) for _ in range(4 * rounds + 1)])
    crowd = _cost(_MANY)
    return [
        Row("releases_1.cpu", alone, "ms"),
        Row(f"releases_{_MANY}.cpu_per_release", crowd, "ms"),
        at_most(f"releases_{_MANY}.over_one", crowd / alone, "times", 1.5),
    ]


def _cost(apps: int) -> float:
    """Milliseconds of CPU for each release."""
    crowd = Crowd(apps)
    gc.collect()
    gc.freeze()  # what stands there before the measured part is not looked through again
    began = process_time()
    crowd.release(apart=1)  # ms: what moves around one falls between the others' moves
    spent = process_time() - began
    if crowd.phases != {"Succeeded": apps}:
        raise RuntimeError(f"not all were released: {crowd.phases}")
    return spent / apps * 1000
