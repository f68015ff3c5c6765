"""A TF1 pipeline.config, and arguments of its run settings, to their TF2 forms."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from app.pipeline.migration import initial_weights, model, run_settings, training
from app.pipeline.migration.change import Change
from app.protos import architecture, pipeline_config, unknown_fields
from app.protos.pipeline_config import PipelineConfig

REASONS = {
    ("SsdFeatureExtractor", "batch_norm_trainable"): "replaced by model.ssd.freeze_batchnorm, which freezes if true"
}
"""Why fields of older protos went, where that is known."""


@dataclass(frozen=True)
class Migration:
    """What came of it. `left`: sentences on what the user has to see to."""

    config: PipelineConfig
    text: str
    extractor: tuple[str, str]
    """Before and after."""
    changes: list[Change]
    settings: dict[str, str]
    run_changes: list[Change]
    left: list[str]
    diff: str


def convert(text: str, arguments: Iterable[str], *, where: str) -> Migration:
    """Migrates the config in `text`. SettingsError, with `where`, if it does not parse or has no TF2 equivalent.

    A config that is TF2's keeps its text, comments and all; only a field that today's protos lack goes.
    """
    settings, run_changes, left = run_settings.translate(run_settings.split(arguments))
    config, unknown = unknown_fields.parse_pipeline(text, where=where)
    before = pipeline_config.print_pipeline(config)
    architecture.body(config, where=where)
    extractor = architecture.extractor_type(config)
    changes = [_dropped(field) for field in unknown]
    if architecture.is_tf2(config):
        after = before if unknown else text
        return Migration(config, after, (extractor, extractor), changes, settings, run_changes, left, diff="")
    changes += model.edit(config, where=where)
    weights, zoo = initial_weights.edit(config)
    changes += weights
    if zoo:
        settings = {"fine_tune_checkpoint": zoo, **settings}
    elif any(change.what.endswith(".fine_tune_checkpoint") for change in weights):
        left.append(
            "The zoo has no TF2 model of this backbone: training starts at random, which takes far longer and more "
            "images. Consider a model that it has: detbox zoo list."
        )
    more, more_left = training.edit(config)
    after = pipeline_config.print_pipeline(config)
    if "num_train_steps" in settings:
        more_left = [item for item in more_left if "num_steps" not in item]
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "TF1", "TF2", n=2, lineterm="")
    return Migration(
        config=config,
        text=after,
        extractor=(extractor, architecture.extractor_type(config)),
        changes=changes + more,
        settings=settings,
        run_changes=run_changes,
        left=left + more_left,
        diff="".join(f"{line}\n" for line in lines),
    )


def _dropped(field: unknown_fields.UnknownField) -> Change:
    why = REASONS.get((field.message, field.name), f"{field.message} has no such field any more")
    return Change(f"line {field.line}: {field.name}", field.text, "", why)
