"""The training step: upstream's, or one in half precision, or of several parts of a batch."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from object_detection import model_lib, model_lib_v2
from object_detection.builders import model_builder, optimizer_builder
from object_detection.utils import ops, spatial_transform_ops

from app.odapi.exchange import exchanged
from app.odapi.loss_scale import LossScale
from app.odapi.part_weights import divisor_seen
from app.pipeline.step_plan import StepPlan
from app.protos.pipeline_config import PipelineConfig

REGULARIZATION, TOTAL = "Loss/regularization_loss", "Loss/total_loss"
HALVES = (tf.float16, tf.bfloat16)


class TrainStep:
    """Steps as `plan` has them; to be made in the scope of the strategy."""

    def __init__(self, plan: StepPlan):
        self._plan = plan
        self.loss_scale = LossScale() if plan.precision == "float16" else None

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it, models are made for the plan's precision, and upstream's loop makes these steps."""
        with contextlib.ExitStack() as stack:
            if self._plan.precision != "off":
                stack.enter_context(_half_precision(self._plan.precision))
            if self._plan.jit:
                tf.config.optimizer.set_jit("autoclustering")
                stack.callback(tf.config.optimizer.set_jit, False)
            if not self._plan.is_plain:
                stack.enter_context(exchanged(model_lib_v2, "eager_train_step", self))
            yield

    def __call__(
        self, detection_model: Any, features: Any, labels: Any, unpad_groundtruth_tensors: bool, optimizer: Any,
        training_step: Any, add_regularization_loss: bool = True, clip_gradients_value: float | None = None,
        num_replicas: float = 1.0,
    ) -> dict[str, Any]:  # fmt: skip
        """As upstream's `eager_train_step`, whose arguments it takes; the losses of the whole batch."""
        model = detection_model
        model._is_training = True
        tf.keras.backend.set_learning_phase(True)

        def losses_of(features: Any, labels: Any) -> dict[str, Any]:
            labels = model_lib.unstack_batch(labels, unpad_groundtruth_tensors=unpad_groundtruth_tensors)
            losses, _ = model_lib_v2._compute_losses_and_predictions_dicts(
                model, features, labels, training_step=training_step, add_regularization_loss=False
            )
            return {name: tf.cast(loss, tf.float32) for name, loss in losses.items()}

        losses, gradients = self._over_parts(model, losses_of, features, labels)
        if add_regularization_loss:
            losses, gradients = _with_regularization(model, losses, gradients)
        losses = {name: loss / num_replicas for name, loss in losses.items()}
        gradients = [None if one is None else one / num_replicas for one in gradients]
        if self.loss_scale is None:
            _apply(optimizer, model, gradients, clip_gradients_value)
            return losses
        is_finite = self.loss_scale.all_finite([one for one in gradients if one is not None])
        was_least = self.loss_scale.update(is_finite)
        _apply_where(is_finite, optimizer, model, gradients, clip_gradients_value)
        # Gradients that the least scale does not make finite are those of a run that diverged.
        diverged = tf.logical_and(was_least, tf.logical_not(is_finite))
        return losses | {TOTAL: tf.where(diverged, float("nan"), losses[TOTAL])}

    def _over_parts(self, model: Any, losses_of: Callable[..., Any], features: Any, labels: Any) -> tuple[Any, Any]:
        """The losses of the whole batch but for regularization, and the gradients of all variables (None: no part)."""
        count = self._plan.parts
        if count == 1:
            losses, gradients, _ = self._of_part(model, losses_of, features, labels)
            return losses, gradients
        features, labels = tf.nest.map_structure(lambda one: _split(one, count), (features, labels))

        def part(number: Any) -> tuple[Any, Any]:
            picked: tuple[Any, Any] = tf.nest.map_structure(lambda one: one[number], (features, labels))
            return picked

        # Not run: within the loop, all variables must be there, and its sums have to be as many as there are losses.
        names = list(tf.function(losses_of, autograph=False).get_concrete_function(*part(0)).structured_outputs)
        is_used: list[bool] = []

        def add_part(number: Any, things: Any, *sums: Any) -> tuple[Any, ...]:
            losses, gradients, divisor = self._of_part(model, losses_of, *part(number))
            is_used[:] = [one is not None for one in gradients]
            weight, added = divisor.of_part(), [*(losses[name] for name in names), *gradients]
            sums = tuple(total if one is None else total + weight * one for total, one in zip(sums, added, strict=True))
            return number + 1, things + divisor.things, *sums

        zeros = [tf.zeros([])] * len(names) + [tf.zeros(one.shape) for one in model.trainable_variables]
        _, things, *sums = tf.while_loop(
            lambda number, *_: number < count, add_part, [0, 0.0, *zeros], parallel_iterations=1
        )
        whole = [total / tf.maximum(things, 1.0) for total in sums]
        losses, gradients = dict(zip(names, whole, strict=False)), whole[len(names) :]
        return losses, [one if used else None for one, used in zip(gradients, is_used, strict=True)]

    def _of_part(self, model: Any, losses_of: Callable[..., Any], features: Any, labels: Any) -> tuple[Any, Any, Any]:
        scale = 1.0 if self.loss_scale is None else self.loss_scale.scale
        with divisor_seen(model) as divisor, tf.GradientTape() as tape:
            losses = losses_of(features, labels)
            scaled = losses[TOTAL] * scale
        gradients = tape.gradient(scaled, model.trainable_variables)
        return losses, [None if one is None else tf.convert_to_tensor(one) / scale for one in gradients], divisor


class CompiledStep:
    """Features and labels to losses, as `train_loop` makes a step; the first call compiles."""

    def __init__(self, config: PipelineConfig, model: Any, optimizer: Any, number: Any):
        self.model, self._settings, self._optimizer, self._number = model, config.train_config, optimizer, number
        self._train = tf.function(self._step, autograph=False)

    def __call__(self, features: Any, labels: Any) -> dict[str, Any]:
        """The losses of a step on this batch, which changes the model's variables."""
        settings, optimizer = self._settings, self._optimizer
        if settings.optimizer.use_moving_average and not optimizer.has_shadow_copy:
            dataset = tf.data.Dataset.from_tensors((features, labels))
            model_lib_v2._ensure_model_is_built(self.model, dataset, settings.unpad_groundtruth_tensors)
            optimizer.shadow_copy(self.model)
        losses: dict[str, Any] = self._train(features, labels)
        return losses

    def checkpoint(self) -> Any:
        """What upstream's loop saves."""
        checkpoint = tf.train.Checkpoint(step=self._number, model=self.model, optimizer=self._optimizer)
        _ = checkpoint.save_counter  # Makes it part of the checkpoint.
        return checkpoint

    def _step(self, features: Any, labels: Any) -> Any:
        settings = self._settings
        losses = model_lib_v2.eager_train_step(
            self.model, features, labels, settings.unpad_groundtruth_tensors, self._optimizer, self._number,
            add_regularization_loss=settings.add_regularization_loss,
            clip_gradients_value=settings.gradient_clipping_by_norm or None,
        )  # fmt: skip
        self._number.assign_add(1)
        return losses


@contextlib.contextmanager
def make(config: PipelineConfig, plan: StepPlan) -> Iterator[CompiledStep]:
    """The step of a new model of `config`, to be called within: for what a step takes and gives without the loop."""
    with TrainStep(plan).in_place():
        model = model_builder.build(config.model, is_training=True)
        number = tf.Variable(0, trainable=False, dtype=tf.int64)
        optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=number)
        yield CompiledStep(config, model, optimizer, number)


def _split(batch: Any, count: int) -> Any:
    """`batch` with its first dimension as `count` parts of as many each."""
    return tf.reshape(batch, [count, batch.shape[0] // count, *batch.shape[1:]])


def _with_regularization(model: Any, losses: dict[str, Any], gradients: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """Losses and gradients with those of regularization, which is of the variables, whatever the batch."""
    with tf.GradientTape() as tape:
        terms = model.regularization_losses()
        loss = tf.add_n([tf.cast(one, tf.float32) for one in terms]) if terms else None
    if loss is None:
        return losses, gradients
    own = tape.gradient(loss, model.trainable_variables)
    added = [b if a is None else a if b is None else a + b for a, b in zip(gradients, own, strict=True)]
    return losses | {REGULARIZATION: loss, TOTAL: losses[TOTAL] + loss}, added


def _apply(optimizer: Any, model: Any, gradients: list[Any], clip_norm: float | None) -> None:
    if clip_norm:
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))


def _apply_where(is_finite: Any, optimizer: Any, model: Any, gradients: list[Any], clip_norm: float | None) -> None:
    """As `_apply`, if `is_finite`; the replicas agree on it."""

    def apply(gradients: list[Any]) -> None:
        _apply(optimizer, model, gradients, clip_norm)

    if tf.__internal__.distribute.strategy_supports_no_merge_call():
        tf.cond(is_finite, lambda: apply(gradients), lambda: None)
        return

    # An optimizer meets the others by a call across replicas, which may not be within a condition of one of them.
    def across(strategy: Any, is_finite: Any, gradients: list[Any]) -> None:
        tf.cond(
            strategy.experimental_local_results(is_finite)[0],
            lambda: strategy.extended.call_for_each_replica(apply, args=(gradients,)),
            lambda: None,
        )

    tf.distribute.get_replica_context().merge_call(across, args=(is_finite, gradients))


@contextlib.contextmanager
def _half_precision(precision: str) -> Iterator[None]:
    """Within it, layers compute in `precision`, and what is made of their outputs is computed in float32."""
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(f"mixed_{precision}")
    crop = spatial_transform_ops.native_crop_and_resize

    def crop_and_resize(image: Any, *args: Any, **kwargs: Any) -> Any:
        return crop(_to_float32(image), *args, **kwargs)  # The op knows no bfloat16.

    try:
        with (
            exchanged(ops, "bfloat16_to_float32_nested", _to_float32),  # Upstream leaves float16 as it is.
            exchanged(spatial_transform_ops, "native_crop_and_resize", crop_and_resize),
        ):
            yield
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)


def _to_float32(nested: Any) -> Any:
    """`nested` with its tensors of half precision as float32: lists and dicts, as upstream's function for bfloat16."""
    if isinstance(nested, dict):
        return {name: _to_float32(one) for name, one in nested.items()}
    if isinstance(nested, list | tuple):
        return [_to_float32(one) for one in nested]
    return tf.cast(nested, tf.float32) if tf.is_tensor(nested) and nested.dtype in HALVES else nested
