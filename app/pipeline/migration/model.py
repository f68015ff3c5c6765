"""The model's part of a TF1 pipeline.config."""

from typing import Any

from app.pipeline.migration import tf2_counterpart
from app.pipeline.migration.change import Change, drop, replace
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig

STRIDE = 16
"""The only stride of Keras' ResNets in a Faster R-CNN (models/faster_rcnn_resnet_keras_feature_extractor.py)."""


def edit(config: PipelineConfig, *, where: str) -> list[Change]:
    """Rewrites `config.model` for TF2. Raises SettingsError for a model without a TF2 equivalent."""
    body = architecture.body(config, where=where)
    kind = config.model.WhichOneof("model")
    path = f"model.{kind}"
    extractor = body.feature_extractor.type
    changes = replace(
        body.feature_extractor,
        f"{path}.feature_extractor",
        "type",
        tf2_counterpart.tf2_counterpart(extractor, where=where),
        "TF2's models are Keras models, and their feature extractors have other names",
    )
    changes += drop(body, path, "inplace_batchnorm_update", "Keras layers update their batch norm themselves")
    if kind == "faster_rcnn":
        changes += _edit_stride(body, path)
    return changes


def _edit_stride(body: Any, path: str) -> list[Change]:
    """Takes the "atrous" ResNets, of stride 8, to the stride that TF2 has."""
    extractor = body.feature_extractor
    plain = extractor.type.startswith("faster_rcnn_resnet") and "_fpn" not in extractor.type
    if not plain or extractor.first_stage_features_stride == STRIDE:
        return []
    why = (
        f"TF2's ResNets have a stride of {STRIDE} alone, so atrous convolutions go and anchors lie {STRIDE} pixels "
        "apart; small objects suffer, a larger image_resizer makes up for it"
    )
    changes = replace(extractor, f"{path}.feature_extractor", "first_stage_features_stride", STRIDE, why)
    changes += replace(body, path, "first_stage_atrous_rate", 1, why)
    grid = body.first_stage_anchor_generator.grid_anchor_generator
    if body.first_stage_anchor_generator.HasField("grid_anchor_generator"):
        for name in ("height_stride", "width_stride"):
            changes += replace(grid, f"{path}.first_stage_anchor_generator.grid_anchor_generator", name, STRIDE, why)
    return changes
