"""Augmentations of training images, by name: each becomes a step of upstream's preprocessor.proto."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format

from app.errors import SettingsError, did_you_mean
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

NONE = "none"
SETTING = flag("augmentations")


@dataclass(frozen=True)
class Augmentation:
    """One step. `parameters`: proto text of its message, upstream's defaults where it is empty.

    `strays`: groundtruth that the step leaves where it was while the image moves (the argument map of upstream's
    core/preprocessor.py). `permutes`: keypoints change places with it, so upstream wants their permutation.
    """

    step: str
    doc: str
    parameters: str = ""
    strays: frozenset[str] = frozenset()
    permutes: str = ""


MASKS_AND_KEYPOINTS = frozenset({"masks", "keypoints"})
FLIP, ROTATION = "keypoint_flip_permutation", "keypoint_rot_permutation"

BY_NAME = {
    "horizontal_flip": Augmentation("random_horizontal_flip", "left and right change places", permutes=FLIP),
    "vertical_flip": Augmentation("random_vertical_flip", "top and bottom change places", permutes=FLIP),
    "rotation90": Augmentation("random_rotation90", "a quarter turn", permutes=ROTATION),
    # The zoo's SSDs, as its ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.
    "crop": Augmentation(
        "random_crop_image",
        "three quarters of the image at least; boxes are cut with it",
        "min_object_covered: 0.0 min_aspect_ratio: 0.75 max_aspect_ratio: 3.0 min_area: 0.75 max_area: 1.0 "
        "overlap_thresh: 0.0",
    ),
    "ssd_crop": Augmentation("ssd_random_crop", "the seven crops of the SSD paper, down to a tenth of the image"),
    "square_crop": Augmentation("random_square_crop_by_scale", "CenterNet's square crop, 0.6 to 1.3 of the image"),
    # EfficientDet's, as the zoo's ssd_efficientdet_d0_512x512_coco17_tpu-8.
    "scale_crop_pad_square": Augmentation(
        "random_scale_crop_and_pad_to_square",
        "0.1 to 2 times the size, cut or padded to what the model sees",
        "scale_min: 0.1 scale_max: 2.0",
    ),
    "pad": Augmentation("random_pad_image", "the image somewhere on a canvas of up to twice its sides"),
    "self_concat": Augmentation(
        "random_self_concat_image", "the image beside or below itself, one in ten each", strays=MASKS_AND_KEYPOINTS
    ),
    "image_scale": Augmentation("random_image_scale", "half to twice the size, before the resizer"),
    "downscale": Augmentation(
        "random_downscale_to_target_pixels",
        "every second image made smaller, to 50,000 to 300,000 pixels",
        "random_coef: 0.5 min_target_pixels: 50000 max_target_pixels: 300000",
    ),
    "brightness": Augmentation("random_adjust_brightness", "up to 0.2 of the range lighter or darker"),
    "contrast": Augmentation("random_adjust_contrast", "0.8 to 1.25 times"),
    "saturation": Augmentation("random_adjust_saturation", "0.8 to 1.25 times"),
    "hue": Augmentation("random_adjust_hue", "up to 0.02 of the circle"),
    "distort_color": Augmentation("random_distort_color", "brightness, saturation, hue and contrast, stronger"),
    "gray": Augmentation("random_rgb_to_gray", "one image in ten without colour"),
    "pixel_scale": Augmentation("random_pixel_value_scale", "each pixel times 0.9 to 1.1"),
    "jpeg_quality": Augmentation(
        "random_jpeg_quality",
        "every second image with the artefacts of JPEG quality 30 to 95",
        "random_coef: 0.5 min_jpeg_quality: 30 max_jpeg_quality: 95",
    ),
    "patch_gaussian": Augmentation(
        "random_patch_gaussian",
        "every second image with noise on a square of up to 120 pixels",
        "random_coef: 0.5 min_patch_size: 1 max_patch_size: 120 min_gaussian_stddev: 0.0 max_gaussian_stddev: 0.3",
    ),
    "black_patches": Augmentation("random_black_patches", "up to ten black squares of a tenth of the image's side"),
    "jitter_boxes": Augmentation(
        "random_jitter_boxes", "corners of boxes moved by up to 0.05 of their sides", "ratio: 0.05"
    ),
}
"""Short names, in the order of the documentation. The full name of upstream's step is taken as well."""

FULL_NAMES = {augmentation.step: name for name, augmentation in BY_NAME.items()}


def edit(config: PipelineConfig, names: str) -> list[str]:
    """Makes the steps named in `names` (comma-separated) the only ones, in that order; empty: leaves them. Notes.

    A step that the model has already keeps the model's parameters. SettingsError for a name that is none.
    """
    train = config.train_config
    wanted = parse(names)
    if wanted is None:
        return _fit_square(config)
    had = {step.WhichOneof("preprocessing_step"): step for step in _copies(train.data_augmentation_options)}
    train.ClearField("data_augmentation_options")
    for name in wanted:
        augmentation = BY_NAME[name]
        option = train.data_augmentation_options.add()
        if augmentation.step in had:
            option.CopyFrom(had[augmentation.step])
        else:
            message = getattr(option, augmentation.step)
            message.SetInParent()
            text_format.Merge(augmentation.parameters, message)
    gone = [step for step in had if step not in {BY_NAME[name].step for name in wanted}]
    notes = [f"augmentations of the model taken out: {', '.join(gone)} ({SETTING})"] if gone else []
    return notes + _fit_square(config)


def parse(names: str) -> list[str] | None:
    """The short names in `names`; [] for `none`, None for the empty text. Raises SettingsError."""
    given = [word.strip().lower() for word in names.replace("\n", ",").split(",")]
    given = [word for word in given if word]
    if not given:
        return None
    if NONE in given:
        if len(given) > 1:
            raise SettingsError(f"augmentations has {NONE!r} beside other names", remedy=f"one or the other: {SETTING}")
        return []
    chosen = [_known(word) for word in given]
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice:
        raise SettingsError(f"augmentation {twice[0]} is named twice", remedy=SETTING)
    return chosen


def stray_groundtruth(config: PipelineConfig) -> Iterable[tuple[str, str, str]]:
    """Steps of `config` that would part an image from its masks or keypoints: (step, what strays, what mends it)."""
    reader = config.train_input_reader
    loads = {"masks": reader.load_instance_masks, "keypoints": reader.num_keypoints > 0}
    for option in config.train_config.data_augmentation_options:
        step = option.WhichOneof("preprocessing_step")
        augmentation = BY_NAME.get(FULL_NAMES.get(step, ""))
        if augmentation is None:
            continue
        for kind in sorted(augmentation.strays):
            if loads[kind]:
                yield step, kind, f"leave it out: {SETTING}"
        if augmentation.permutes and loads["keypoints"] and not getattr(getattr(option, step), augmentation.permutes):
            yield (
                step,
                "keypoints",
                f"give its {augmentation.permutes} by --config_override, or leave it out: {SETTING}",
            )


def _known(word: str) -> str:
    name = FULL_NAMES.get(word, word)
    if name in BY_NAME:
        return name
    hint = did_you_mean(word, [*BY_NAME, *FULL_NAMES])
    raise SettingsError(
        f"augmentation {word!r} is unknown",
        remedy=f"{hint} there are {', '.join(BY_NAME)}, or {NONE}: {SETTING}; other steps of preprocessor.proto by "
        f"{flag('config_override')}",
    )


def _copies(options: Iterable[Any]) -> list[Any]:
    copies = []
    for option in options:
        copy = type(option)()
        copy.CopyFrom(option)
        copies.append(copy)
    return copies


def _fit_square(config: PipelineConfig) -> list[str]:
    """Gives `random_scale_crop_and_pad_to_square` the size that the model sees. Returns notes."""
    size, notes = architecture.image_size(config), []
    for option in config.train_config.data_augmentation_options:
        if option.WhichOneof("preprocessing_step") != "random_scale_crop_and_pad_to_square" or not size:
            continue
        step = option.random_scale_crop_and_pad_to_square
        if step.output_size != max(size):
            if step.HasField("output_size"):
                notes.append(f"random_scale_crop_and_pad_to_square makes {max(size)} pixels now, as the model sees")
            step.output_size = max(size)
    return notes
