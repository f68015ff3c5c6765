"""The forms that a checkpoint can be exported in, with the models that some of them are not for."""

from collections.abc import Iterable

from app.errors import SettingsError, did_you_mean
from app.protos.architecture import fixed_size
from app.protos.pipeline_config import DetectionModel
from app.settings import flag

SAVED_MODELS = ("image_tensor", "float_image_tensor", "encoded_image_string_tensor", "tf_example")
FROZEN = ("frozen_graph", "frozen_graph_text")
INT8 = "tflite_int8"
"""The one form that needs images: what passes through the network tells the range of its integers."""
TFLITE = ("tflite", "tflite_dynamic", "tflite_float16", INT8)
FORMS = (*SAVED_MODELS, *FROZEN, *TFLITE, "onnx")
ALL = "all"
FILES = {
    "frozen_graph": "frozen_inference_graph.pb",
    "frozen_graph_text": "frozen_inference_graph.pbtxt",
    **dict.fromkeys(TFLITE, "model.tflite"),
    "onnx": "model.onnx",
}
"""Name of the one file of the forms that are one; a SavedModel is the folder `saved_model`."""

REMEDY = f"{ALL}, or any of {', '.join(FORMS)}: {flag('export_forms')}"
OTHER = f"SavedModel, frozen graph and ONNX take this model: {flag('export_forms')}"


def parse(text: str) -> tuple[str, ...]:
    """The forms in `text` (comma-separated, or `all`), each once, in the order of `FORMS`; SettingsError if unknown."""
    asked = {part.strip() for part in text.split(",")} - {""}
    unknown = sorted(asked - {*FORMS, ALL})
    if unknown or not asked:
        raise SettingsError(
            f"export form {unknown[0]} is unknown" if unknown else "no form to export is given",
            remedy=(did_you_mean(unknown[0], FORMS) if unknown else "") or REMEDY,
        )
    return FORMS if ALL in asked else tuple(form for form in FORMS if form in asked)


def refusals(forms: Iterable[str], model: DetectionModel) -> dict[str, SettingsError]:
    """Why those of `forms` can't be made that the architecture rules out; empty if all can.

    `model`: the DetectionModel message of a pipeline.config. Nothing is built for it.
    """
    reason = _against_tflite(model)
    if not reason:
        return {}
    return {form: SettingsError(f"{form}: {reason}", remedy=OTHER) for form in forms if form in TFLITE}


def _against_tflite(model: DetectionModel) -> str:
    """Why TensorFlow Lite can't run the model as trained; empty if it can.

    The rules are those of upstream's export_tflite_graph_lib_tf2.SSDModule and of the operator
    TFLite_Detection_PostProcess that it ends in (tensorflow/lite/kernels/detection_postprocess.cc).
    """
    kind = model.WhichOneof("model")
    if kind == "faster_rcnn":
        return "is for one-stage models, and Faster R-CNN is two-stage: its crops have no TensorFlow Lite form"
    if kind == "center_net":
        return "CenterNet reads its detections from peaks, for which upstream's converter has models of its own only"
    if kind != "ssd":
        return f"is for SSD and EfficientDet, and this model is {kind}"
    resizer = model.ssd.image_resizer
    suppression = model.ssd.post_processing.batch_non_max_suppression
    if not fixed_size(model):
        return f"needs one size of input, and {resizer.WhichOneof('image_resizer_oneof')} gives many"
    if getattr(resizer, resizer.WhichOneof("image_resizer_oneof")).convert_to_grayscale:
        return "takes images of three channels, and this model converts them to grayscale"
    if any(resizer.keep_aspect_ratio_resizer.per_channel_pad_value):
        return "pads images with zeros, and this model with per_channel_pad_value"
    if suppression.soft_nms_sigma > 0:
        return "suppresses boxes wholly, and this model is set to soft NMS (soft_nms_sigma)"
    if model.ssd.box_coder.WhichOneof("box_coder_oneof") != "faster_rcnn_box_coder":
        return "decodes boxes as faster_rcnn_box_coder does, and this model has another coder"
    return ""
