"""The error for a file or folder that is no detector."""

from pathlib import Path

from app.errors import SettingsError
from app.settings import flag

LOADABLE = "an export's folder, a SavedModel's folder, a frozen graph (.pb, .pbtxt), a .tflite or an .onnx"


def refusal(path: Path, what: str) -> SettingsError:
    """The error for a file or folder that is no detector."""
    return SettingsError(what, where=str(path), remedy=f"give {LOADABLE}: {flag('detector')}")
