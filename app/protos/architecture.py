"""What the meta-architectures of the OD API have in common, under the names that each gives it."""

from typing import Any

from app.errors import SettingsError
from app.protos.pipeline_config import DetectionModel, PipelineConfig
from app.settings import flag

KNOWN = ("ssd", "faster_rcnn", "center_net")


def body(config: PipelineConfig, *, where: str = "pipeline.config") -> Any:
    """The `ssd`, `faster_rcnn` or `center_net` message of a pipeline; SettingsError for any other."""
    kind = config.model.WhichOneof("model")
    if kind not in KNOWN:
        raise SettingsError(
            f"model is {kind or 'missing'}", where=where, remedy=f"detbox trains {', '.join(KNOWN)}: {flag('model')}"
        )
    return getattr(config.model, kind)


def extractor_type(config: PipelineConfig) -> str:
    """The feature extractor's type, such as `ssd_resnet50_v1_fpn_keras`."""
    return body(config).feature_extractor.type


def is_tf2(config: PipelineConfig) -> bool:
    """Whether the model is built of Keras layers, as all of TF2's are: CenterNet has no other form."""
    return config.model.WhichOneof("model") == "center_net" or "keras" in extractor_type(config)


def has_fixed_shape(config: PipelineConfig) -> bool:
    """Whether every image leaves the resizer with the same height and width, as batches need."""
    resizer = body(config).image_resizer
    if resizer.HasField("keep_aspect_ratio_resizer"):
        return resizer.keep_aspect_ratio_resizer.pad_to_max_dimension
    return resizer.HasField("fixed_shape_resizer")


def image_size(config: PipelineConfig) -> tuple[int, int] | None:
    """Height and width in pixels that the network sees at most; None if the resizer sets no bound."""
    resizer = body(config).image_resizer
    if resizer.HasField("fixed_shape_resizer"):
        return resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width
    if resizer.HasField("keep_aspect_ratio_resizer"):
        side = resizer.keep_aspect_ratio_resizer.max_dimension
        return side, side
    return None


def fixed_size(model: DetectionModel) -> tuple[int, int] | None:
    """Height and width that an SSD's network sees, if they are the same for all images; else None.

    Upstream's own converter takes only `fixed_shape_resizer`; padded to a square, EfficientDet's is as good.
    """
    resizer = model.ssd.image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind == "fixed_shape_resizer":
        return resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width
    padded = resizer.keep_aspect_ratio_resizer
    if kind == "keep_aspect_ratio_resizer" and padded.pad_to_max_dimension:
        return padded.max_dimension, padded.max_dimension
    return None


def predicts_masks(config: PipelineConfig) -> bool:
    """Whether the model's detections have instance masks."""
    model = body(config)
    if config.model.HasField("faster_rcnn"):
        return bool(model.second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks)
    if config.model.HasField("center_net"):
        return bool(model.HasField("mask_estimation_task") or model.HasField("deepmac_mask_estimation"))
    return False


def predicts_keypoints(config: PipelineConfig) -> bool:
    """Whether the model's detections have keypoints."""
    model = body(config)
    if config.model.HasField("center_net"):
        return bool(model.keypoint_estimation_task)
    return bool(config.model.HasField("ssd") and model.box_coder.HasField("keypoint_box_coder"))
