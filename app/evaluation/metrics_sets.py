"""Upstream's metrics sets: what each needs, the names of its figures, and which of them can choose the best."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.errors import SettingsError, did_you_mean
from app.evaluation import coco, selection
from app.humanize import list_names
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

BOXES, KEYPOINTS, LVIS = "coco_detection_metrics", "coco_keypoint_metrics", "lvis_mask_metrics"
WHERE = "eval_config.metrics_set"
COCO_FIGURES = tuple(name.removeprefix("DetectionBoxes_") for name in coco.NAMES)
# COCOeval's ten figures of keypoints under the names that upstream's coco_tools gives them.
KEYPOINT_FIGURES = tuple(name for name in COCO_FIGURES if "(small)" not in name)
LVIS_FIGURES = (
    "AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf", "AR@300", "ARs@300", "ARm@300", "ARl@300",
)  # fmt: skip


@dataclass(frozen=True)
class MetricsSet:
    """One set of figures. `masks`, `keypoints`: it measures these, else boxes. `voc`: AP at IoU 0.5, by class too."""

    prefix: str
    masks: bool = False
    keypoints: bool = False
    voc: bool = True


SETS: Mapping[str, MetricsSet] = {
    BOXES: MetricsSet("DetectionBoxes_", voc=False),
    "coco_mask_metrics": MetricsSet("DetectionMasks_", masks=True, voc=False),
    KEYPOINTS: MetricsSet("Keypoints_", keypoints=True, voc=False),
    LVIS: MetricsSet("DetectionMasks_", masks=True, voc=False),
    "pascal_voc_detection_metrics": MetricsSet("PascalBoxes_"),
    "weighted_pascal_voc_detection_metrics": MetricsSet("WeightedPascalBoxes_"),
    "precision_at_recall_detection_metrics": MetricsSet("PrecisionAtRecallBoxes_"),
    "pascal_voc_instance_segmentation_metrics": MetricsSet("PascalMasks_", masks=True),
    "weighted_pascal_voc_instance_segmentation_metrics": MetricsSet("WeightedPascalMasks_", masks=True),
    "oid_V2_detection_metrics": MetricsSet("OpenImagesV2_"),
    "oid_challenge_detection_metrics": MetricsSet("OpenImagesDetectionChallenge_"),
    "oid_challenge_segmentation_metrics": MetricsSet("OpenImagesInstanceSegmentationChallenge_", masks=True),
}
"""By the names of `eval_config.metrics_set`. Upstream's coco_panoptic_metrics needs what no record of its own has."""


def chosen_sets(config: PipelineConfig) -> list[str]:
    """The sets that `config` asks for, each once, with the keypoints of its `parameterized_metric`."""
    evaluation = config.eval_config
    keypoints = [KEYPOINTS] if evaluation.parameterized_metric else []
    return list(dict.fromkeys([*evaluation.metrics_set, *keypoints])) or [BOXES]


def keypoint_classes(config: PipelineConfig, classes: Iterable[str]) -> list[str]:
    """The classes whose keypoints are measured: those named, else those that the model has keypoints of, else all."""
    named = [each.coco_keypoint_metrics.class_label for each in config.eval_config.parameterized_metric]
    tasks = config.model.center_net.keypoint_estimation_task if config.model.HasField("center_net") else ()
    known = list(classes)
    return named or [each.keypoint_class_name for each in tasks if each.keypoint_class_name in known] or known


def figure_names(config: PipelineConfig, classes: Iterable[str]) -> list[str]:
    """All figures that an evaluation by `config` can have, but for the losses of the model."""
    classes = list(classes)
    found = [name for each in chosen_sets(config) for name in names_of_set(each, config, classes)]
    return [*found, selection.TRAINING_LOSS]


def names_of_set(chosen: str, config: PipelineConfig, classes: Sequence[str]) -> Iterator[str]:
    """The figures of one metrics set for the `classes`."""
    prefix = SETS[chosen].prefix
    if chosen == BOXES:
        yield from coco.NAMES
        yield from (coco.PER_CLASS + name for name in classes)
    elif chosen == KEYPOINTS:
        for name in keypoint_classes(config, classes):
            yield from (f"{prefix}{figure} ByCategory/{name}" for figure in KEYPOINT_FIGURES)
    elif chosen == LVIS:
        yield from (prefix + figure for figure in LVIS_FIGURES)
    elif SETS[chosen].voc:
        low, high = config.eval_config.recall_lower_bound, config.eval_config.recall_upper_bound
        is_bounded = chosen.startswith("precision_at_recall") and (low > 0 or high < 1)
        yield f"{prefix}Precision/mAP@0.5IOU" + (f"@[{low:.1f},{high:.1f}]Recall" if is_bounded else "")
        yield from (f"{prefix}PerformanceByCategory/AP@0.5IOU/{name}" for name in classes)
    else:
        yield from (prefix + figure for figure in COCO_FIGURES)


def check_sets(config: PipelineConfig, *, classes: Iterable[str], masks: bool, keypoints: bool) -> None:
    """Raises SettingsError for a metrics set that can't be measured.

    `masks`, `keypoints`: whether the records have them.
    """
    for chosen in config.eval_config.metrics_set:
        if chosen not in SETS:
            raise SettingsError(
                f"metrics_set {chosen!r} is none that can be measured",
                where=WHERE,
                remedy=f"{flag('config_override')}: {did_you_mean(chosen, SETS) or 'one of ' + ', '.join(SETS)}",
            )
    sets = chosen_sets(config)
    reader = config.eval_input_reader[0]
    for chosen in sets:
        if SETS[chosen].masks:
            _check_has(chosen, "instance masks", masks, reader.load_instance_masks, architecture.predicts_masks(config))
        if SETS[chosen].keypoints:
            loaded = reader.num_keypoints > 0
            _check_has(chosen, "keypoints", keypoints, loaded, architecture.predicts_keypoints(config))
    for each in config.eval_config.parameterized_metric:
        label, known = each.coco_keypoint_metrics.class_label, list(classes)
        if label not in known:
            raise SettingsError(
                f"class_label {label!r} is no class of the data set",
                where="eval_config.parameterized_metric",
                remedy=f"{flag('config_override')}: {did_you_mean(label, known) or 'one of ' + list_names(known)}",
            )
    if LVIS in sets and importlib.util.find_spec("lvis") is None:
        what = f"{LVIS} needs the package lvis, which is not installed"
        raise SettingsError(what, where=WHERE, remedy="pip install lvis")
    if {LVIS, "coco_mask_metrics"} <= set(sets):
        raise SettingsError(
            f"{LVIS} and coco_mask_metrics give their figures the same beginning", where=WHERE, remedy="leave one out"
        )


def _check_has(chosen: str, what: str, present: bool, loaded: bool, predicted: bool) -> None:
    if present and loaded and predicted:
        return
    missing = (
        f"the data set has none: {flag('dataset')}" if not present
        else "the model predicts none: another model" if not predicted
        else f"eval_input_reader does not load them: {flag('config_override')}"
    )  # fmt: skip
    raise SettingsError(f"{chosen} measures {what}", where=WHERE, remedy=f"leave it out; {missing}")


def check_best_metric(metric: str, config: PipelineConfig, classes: Iterable[str]) -> None:
    """Raises SettingsError if no evaluation by `config` can have a figure of the name `metric`."""
    classes = list(classes)
    names = figure_names(config, classes)
    # Which losses there are is known to the model alone.
    if metric in names or metric.startswith("Loss/"):
        return
    others = [name for name in SETS if name not in chosen_sets(config)]
    adding = next((name for name in others if metric in names_of_set(name, config, classes)), None)
    if adding:
        text = f"'eval_config {{ metrics_set: \"{adding}\" }}'"
        remedy = f"add it: {flag('config_override', text)}"
        raise SettingsError(f"{metric} is a figure of {adding}, which is not measured", where=WHERE, remedy=remedy)
    raise unknown_metric(metric, names)


def unknown_metric(metric: str, names: Iterable[str]) -> SettingsError:
    """The refusal of a `best_metric` that is not among `names`."""
    known = list(names)
    near = did_you_mean(metric, known) or f"one of {list_names(known, most=20)}"
    what = f"best_metric {metric} is no figure of this run's evaluations"
    return SettingsError(what, remedy=f"{flag('best_metric')}: {near}")
