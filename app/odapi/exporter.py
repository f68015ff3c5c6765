"""A checkpoint's model as the functions that exports are made of, by upstream's exporters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection import export_tflite_graph_lib_tf2, exporter_lib_v2
from object_detection.builders import model_builder
from object_detection.utils import config_util

from app.errors import SettingsError
from app.odapi.averaged_weights import load_averages
from app.protos.architecture import fixed_size
from app.settings import flag

INPUT = "input_tensor"
"""What upstream's exporter calls a model's one input."""
IMAGES = [None, None, None, 3]
INPUTS: dict[str, tuple[list[int | None], tf.DType, Callable[[tf.Tensor], tf.Tensor]]] = {
    # Upstream fixes the batch of image_tensor at 1; the very same computation takes more.
    "image_tensor": (IMAGES, tf.uint8, lambda image: image),
    "float_image_tensor": (IMAGES, tf.float32, lambda image: image),
    "encoded_image_string_tensor": ([None], tf.string, exporter_lib_v2._decode_image),
    "tf_example": ([None], tf.string, exporter_lib_v2._decode_tf_example),
}
"""Shape, number type and decoder of one item of each input type (exporter_lib_v2.DETECTION_MODULE_MAP)."""


class _Servable(tf.Module):
    """A function with its variables, and none of the Keras layers around them: saved and loaded in a tenth of the time.

    Called like upstream's: `tf.saved_model.load(folder)(input_tensor)`.
    """

    def __init__(self, function: Any, variables: Any):
        super().__init__()
        self.__call__ = function
        self._weights = list(variables)


class Exporter:
    """The model of `pipeline_config` with the weights of `checkpoint` (a prefix), built once for all forms."""

    def __init__(self, pipeline_config: Path, checkpoint: Path):
        configs = config_util.get_configs_from_pipeline_file(str(pipeline_config))
        self._config = config_util.create_pipeline_proto_from_configs(configs)
        self._checkpoint = checkpoint
        self._model = model_builder.build(self._config.model, is_training=False)
        self._status = tf.train.Checkpoint(model=self._model).read(str(checkpoint)).expect_partial()
        self._module = exporter_lib_v2.DetectionInferenceModule(self._model)

    def saved_model(self, folder: Path, input_type: str, signature_key: str) -> None:
        """Writes a SavedModel of one of `INPUTS` into `folder`.

        Raises SettingsError if the checkpoint lacks weights of the model.
        """
        function, concrete = self._function(input_type)
        tf.saved_model.save(
            _Servable(function, concrete.graph.variables), str(folder), signatures={signature_key: concrete}
        )

    def checkpoint(self, folder: Path) -> None:
        """Writes the model's weights, without the optimizer's, into `folder` as `ckpt-0`: the zoo's layout.

        The model must have been built: by `saved_model`, for one.
        """
        # Not by what has read them: saving adds a counter to it, which the file that was read need not have.
        saver = tf.train.Checkpoint(model=self._model)
        tf.train.CheckpointManager(saver, str(folder), max_to_keep=1).save(checkpoint_number=0)

    def concrete(self, input_type: str) -> Any:
        """The traced function of one of `INPUTS`: a batch in, the OD API's detections out."""
        return self._function(input_type)[1]

    def for_one_image(self) -> Any:
        """The traced function of one uint8 image [1, height, width, 3], without loops: what ONNX likes."""
        signature = [tf.TensorSpec([1, None, None, 3], tf.uint8, name=INPUT)]

        def detect(images: Any) -> Any:
            prepared = self._model.preprocess(tf.cast(images, tf.float32))
            return self._module._run_inference_on_images(*prepared)

        return self._traced(tf.function(detect, autograph=False, input_signature=signature))

    def tflite_saved_model(self, folder: Path) -> None:
        """Writes the SavedModel that TensorFlow Lite's converter reads into `folder`; only for an SSD.

        In: float32 [1, height, width, 3], resized and normalized. The suppression is the operator
        TFLite_Detection_PostProcess, set to what the checkpoint's own does: a class at a time, as many detections.
        """
        config = type(self._config)()
        config.CopyFrom(self._config)
        # Upstream's module asks the resizer for the size alone, and only this one.
        size = fixed_size(config.model)
        if size is None:
            raise ValueError("TensorFlow Lite needs one size of input")
        height, width = size
        config.model.ssd.image_resizer.fixed_shape_resizer.height = height
        config.model.ssd.image_resizer.fixed_shape_resizer.width = width
        suppression = config.model.ssd.post_processing.batch_non_max_suppression
        module = export_tflite_graph_lib_tf2.SSDModule(
            config, self._model, suppression.max_total_detections, not suppression.use_class_agnostic_nms
        )
        spec = tf.TensorSpec(module.input_shape(), tf.float32, name="input")
        concrete = module.inference_fn.get_concrete_function(spec)
        self._check()
        saved = _Servable(module.inference_fn, concrete.graph.variables)
        tf.saved_model.save(saved, str(folder), signatures=concrete)

    def input_of_network(self) -> dict[str, Any]:
        """What an image goes through before the network sees it, for programs that have to do it themselves.

        `mean`, `std`: of each channel, (pixel - mean) / std, found by asking the model; `method`: of resizing;
        `keeps_aspect`: whether the image keeps its shape and is padded with zeros below and to the right.
        """
        black, white = (
            self._model.preprocess(tf.fill([1, 64, 64, 3], level))[0][0, 0, 0].numpy().astype(float)
            for level in (0.0, 255.0)
        )
        std = 255.0 / (white - black)
        resizer = self._config.model.ssd.image_resizer
        kind = resizer.WhichOneof("image_resizer_oneof")
        chosen = getattr(resizer, kind)
        return {
            "mean": (-black * std).tolist(),
            "std": std.tolist(),
            "method": type(chosen)
            .DESCRIPTOR.fields_by_name["resize_method"]
            .enum_type.values[chosen.resize_method]
            .name.lower(),
            "keeps_aspect": kind == "keep_aspect_ratio_resizer",
        }

    def prepared(self, image: np.ndarray) -> np.ndarray:
        """`image` (uint8, height x width x 3) as the network sees it: float32 [1, height, width, 3]."""
        return self._model.preprocess(tf.constant(image[None], tf.float32))[0].numpy()

    def _function(self, input_type: str) -> tuple[Any, Any]:
        shape, dtype, decode = INPUTS[input_type]

        def detect(input_tensor: Any) -> Any:
            prepared = self._module._preprocess_input(input_tensor, decode)
            return self._module._run_inference_on_images(*prepared)

        function = tf.function(detect, input_signature=[tf.TensorSpec(shape, dtype, name=INPUT)])
        return function, self._traced(function)

    def _traced(self, function: Any) -> Any:
        # Tracing creates the variables, which the restored values wait for.
        concrete = function.get_concrete_function()
        self._check()
        return concrete

    def _check(self) -> None:
        try:
            self._status.assert_existing_objects_matched()
        except AssertionError:
            raise SettingsError(
                "this checkpoint has not all the weights of the pipeline.config's model",
                where=str(self._checkpoint),
                remedy=f"give the checkpoint with its own pipeline.config: {flag('checkpoint')}",
            ) from None
        if self._config.eval_config.use_moving_averages:
            load_averages(self._model, self._checkpoint)
