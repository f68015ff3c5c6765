"""Made-up evaluations: groundtruth, and detections near it."""

import numpy as np

from app.evaluation.matching import EvaluatedImage

CLASSES = {1: "cat", 2: "dog", 3: "cow", 4: "never there"}


def image(truth=(), found=(), *, crowd=(), name="p", key=0) -> EvaluatedImage:
    """`truth`: `(class, (ymin, xmin, ymax, xmax))`; `found`: `(class, box, score)`; `crowd`: indices in `truth`."""
    return EvaluatedImage(
        name=name,
        key=key,
        truth_boxes=np.array([box for _, box in truth], np.float32).reshape(-1, 4),
        truth_classes=np.array([class_id for class_id, _ in truth], int),
        crowd=np.isin(np.arange(len(truth)), crowd),
        boxes=np.array([box for _, box, _ in found], np.float32).reshape(-1, 4),
        scores=np.array([score for *_, score in found], np.float32),
        classes=np.array([class_id for class_id, *_ in found], int),
    )


def scene(seed: int, images: int = 40) -> list[EvaluatedImage]:
    """Images with crowds, empty ones, equal scores, wrong classes, and more boxes than COCO counts."""
    rng = np.random.default_rng(seed)
    return [_crowded(rng, number) for number in range(images)]


def _crowded(rng: np.random.Generator, number: int) -> EvaluatedImage:
    many = int(rng.integers(0, 12))
    corners, sizes = rng.uniform(0, 400, (many, 2)), rng.uniform(4, 160, (many, 2))
    truth = np.concatenate([corners, corners + sizes], axis=1).astype(np.float32)
    classes = rng.integers(1, 4, many)
    shown = int(rng.integers(0, 130 if number == 0 else 50)) if many else 3
    near = rng.integers(0, max(many, 1), shown)
    if many:
        boxes, guesses = truth[near] + rng.normal(0, 6, (shown, 4)), classes[near]
    else:
        boxes, guesses = np.tile([10.0, 10.0, 50.0, 60.0], (shown, 1)), np.ones(shown, int)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    guesses = np.where(rng.random(shown) < 0.8, guesses, rng.integers(1, 4, shown))
    scores = np.sort(np.round(rng.random(shown), 2))[::-1]
    return EvaluatedImage(
        f"p{number:03}", int(rng.integers(1 << 31)), truth, classes, rng.random(many) < 0.1,
        boxes.astype(np.float32), scores.astype(np.float32), guesses,
    )  # fmt: skip
