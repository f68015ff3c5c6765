"""An evaluator that is killed again and again while a trainer saves checkpoints.

python killed.py RUN CHECKPOINTS KILLS: saves checkpoints of steps 10, 20 ... in RUN, evaluates them in child processes
by the real service around a model that computes nothing, and kills KILLS of these at random moments.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from scenes import CLASSES, scene

from app.evaluation import checkpoint_queue, coco, details, figures, selection
from app.jobs.evaluate import EvaluatorService
from app.run.directory import Run
from app.run.evaluations import evaluated_steps
from app.run.files import write_json, write_text
from app.settings import Settings
from app.training import retention

SAVE_SECONDS, LIFE_SECONDS = 0.02, 0.12


class Model:
    """Stands in for the evaluator: a score that rises to the middle of the run and falls again."""

    classes, image_outputs = CLASSES, 0
    images = scene(1, images=3)

    def evaluate(self, prefix):
        step = int((prefix.parent / f"{prefix.name}.data-00000-of-00001").read_text())
        time.sleep(random.uniform(0, 0.01))
        found = coco.measure_coco(self.images, self.classes)
        value = 1 / (1 + abs(step - 150))
        metrics = {"DetectionBoxes_Precision/mAP": value}
        return SimpleNamespace(step=step, images=self.images, metrics=metrics, classes=found.classes)


def evaluate(run):
    service = EvaluatorService(run, Settings())
    selection.restore_best(run, service.rule)
    service._evaluator, service._events = Model(), SimpleNamespace(write=lambda *_: None)
    for prefix in checkpoint_queue.iterate_checkpoints(run, once=False, wait_secs=0.005, fault=lambda prefix: None):
        service.evaluate(prefix)


def start(run):
    child = os.fork()
    if not child:
        random.seed(os.getpid())
        evaluate(run)
        os._exit(0)
    return child


def save(run, step):
    """Data, then index, each by a rename; then what retention lets go of."""
    for end, text in (("data-00000-of-00001", str(step)), ("index", "")):
        write_text(run.root / f"ckpt-{step}.{end}", text)
    steps = run.checkpoint_steps()
    verdict = retention.plan_retention(steps, evaluated_steps(run), max_to_keep=2, backlog_max=len(steps))
    for gone in verdict.delete:
        for end in ("index", "data-00000-of-00001"):
            (run.root / f"ckpt-{gone}.{end}").unlink()


def warm_up():
    """Loads once, before any child is made, what an evaluation needs."""
    found = coco.measure_coco(Model.images, CLASSES)
    described, _ = details.describe_evaluation(Model.images, CLASSES, found.classes, iou=0.5, score=None)
    figures.draw_curves(described["classes"], 0.5)


def main(run, checkpoints, kills):
    saved = 0
    warm_up()
    for _ in range(kills):
        child, end = start(run), time.monotonic() + random.uniform(0, LIFE_SECONDS)
        while time.monotonic() < end:
            if saved < checkpoints:
                saved += 1
                save(run, 10 * saved)
            time.sleep(min(SAVE_SECONDS, max(end - time.monotonic(), 0)))
        os.kill(child, signal.SIGKILL)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            raise SystemExit("it had ended before it was killed")
    for number in range(saved, checkpoints):
        save(run, 10 * (number + 1))
    write_json(run.done, {"step": 10 * checkpoints, "reason": "completed"})
    if os.waitpid(start(run), 0)[1]:
        raise SystemExit("the last evaluator failed")


if __name__ == "__main__":
    main(Run(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]))
