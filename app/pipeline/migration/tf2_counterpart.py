"""TF1's models and what TF2 has in their place.

The keys are TF1's `FEATURE_EXTRACTOR` maps, the values TF2's, both of upstream's builders/model_builder.py.
"""

from app.errors import SettingsError, did_you_mean
from app.pipeline.zoo import catalogue
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig

SSD = (
    "ssd_mobilenet_v1", "ssd_mobilenet_v1_fpn", "ssd_mobilenet_v2", "ssd_mobilenet_v2_fpn", "ssd_resnet50_v1_fpn",
    "ssd_resnet101_v1_fpn", "ssd_resnet152_v1_fpn",
)  # fmt: skip
FASTER_RCNN = (
    "faster_rcnn_resnet50", "faster_rcnn_resnet101", "faster_rcnn_resnet152", "faster_rcnn_inception_resnet_v2",
)  # fmt: skip
COUNTERPARTS = {name: f"{name}_keras" for name in SSD + FASTER_RCNN}
"""Feature extractors that were written again for Keras."""

SMALL, RETINANET = "ssd_mobilenet_v2_fpnlite_320", "ssd_resnet50_fpn_640"
LARGE = "faster_rcnn_inception_resnet_v2_640x640_coco17_tpu-8"
NEAREST = {
    "ssd_inception_v2": RETINANET,
    "ssd_inception_v3": RETINANET,
    "ssd_mobilenet_v1_ppn": SMALL,
    "ssd_mobilenet_v2_mnasfpn": SMALL,
    "ssd_mobilenet_v3_large": SMALL,
    "ssd_mobilenet_v3_small": SMALL,
    "ssd_mobilenet_v3_small_pruned": SMALL,
    "ssd_mobilenet_edgetpu": SMALL,
    "ssd_mobiledet_cpu": SMALL,
    "ssd_mobiledet_dsp": SMALL,
    "ssd_mobiledet_edgetpu": SMALL,
    "ssd_mobiledet_gpu": SMALL,
    "ssd_spaghettinet": SMALL,
    "embedded_ssd_mobilenet_v1": SMALL,
    "ssd_resnet50_v1_ppn": RETINANET,
    "ssd_resnet101_v1_ppn": RETINANET,
    "ssd_resnet152_v1_ppn": RETINANET,
    "ssd_pnasnet": RETINANET,
    "faster_rcnn_nas": LARGE,
    "faster_rcnn_pnas": LARGE,
    "faster_rcnn_inception_v2": "faster_rcnn_resnet50",
}
"""TF1's feature extractors that no one wrote for Keras: the preset, or name in the zoo, that comes nearest."""


def tf2_counterpart(extractor: str, *, where: str) -> str:
    """TF2's feature extractor for TF1's. Raises SettingsError, with the nearest, if there is none."""
    if extractor in COUNTERPARTS:
        return COUNTERPARTS[extractor]
    if extractor in NEAREST:
        raise SettingsError(
            f"feature extractor {extractor} has no TF2 equivalent: upstream never wrote it for Keras",
            where=where,
            remedy=f"nearest: --model={NEAREST[extractor]}, trained anew on the same data",
        )
    raise SettingsError(
        f"feature extractor {extractor!r} is not one of the OD API's",
        where=where,
        remedy=did_you_mean(extractor, [*COUNTERPARTS, *NEAREST]) or f"those with one: {', '.join(COUNTERPARTS)}",
    )


def zoo_model(config: PipelineConfig) -> str:
    """The zoo's model to start from: that with the same backbone and the nearest input; empty if there is none."""
    kind = config.model.WhichOneof("model")
    if kind not in ("ssd", "faster_rcnn"):
        return ""
    extractor = architecture.extractor_type(config).removesuffix("_keras")
    if extractor == "ssd_mobilenet_v2_fpn":
        extractor = "ssd_mobilenet_v2_fpnlite"
    elif kind == "faster_rcnn" and config.model.faster_rcnn.number_of_stages == 3:
        extractor = extractor.replace("faster_rcnn", "mask_rcnn")
    elif kind == "faster_rcnn" and not extractor.endswith("_v2"):
        extractor = f"{extractor}_v1"
    seen = max(architecture.image_size(config) or (640, 640))
    fitting = [model for model in catalogue.models() if model.name.startswith(f"{extractor}_{model.input}")]
    nearest = min(fitting, key=lambda model: abs(max(map(int, model.input.split("x"))) - seen), default=None)
    return nearest.name if nearest else ""
