"""What TensorBoard shows of evaluations that were cut short."""

import os
import subprocess
import sys
from pathlib import Path

from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

WRITE = """
import sys
from pathlib import Path
from app.odapi.eval_events import EvalEvents
for after, steps in ((0, (10, 20)), (10, (20, 30)), (30, (40,))):
    events = EvalEvents(Path(sys.argv[1]), after=after)
    for step in steps:
        events.write(step, {"mAP": after + step / 100}, {})
"""


def test_an_evaluation_that_is_made_again_is_shown_once(tmp_path):
    """An evaluator was killed between its events of step 20 and its line of it; the evaluations before stay."""
    # In a process of its own: in this one TensorBoard may have been told that there is no TensorFlow.
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", WRITE, tmp_path], env=environ, check=True)
    shown = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload().Tensors("mAP")
    found = [(event.step, round(float(tensor_util.make_ndarray(event.tensor_proto)), 2)) for event in shown]
    assert found == [(10, 0.1), (20, 10.2), (30, 10.3), (40, 30.4)]
