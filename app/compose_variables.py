"""What compose.yaml reads besides the settings, and names that were likely meant to be of these."""

import difflib
from collections.abc import Iterable

COMPOSE_VARIABLES = (
    ("COMPOSE_FILE", "", "compose files; on a machine without a GPU compose.yaml:compose.cpu.yaml"),
    (
        "COMPOSE_PROFILES",
        "",
        "serving: TensorFlow Serving on what was promoted; monitoring: Prometheus and Grafana; "
        "workers: one of several machines that train together",
    ),
    ("DETBOX_PROJECT", "", "name of the Compose project and of its volume; empty: detbox-USER, so each user has one"),
    ("DETBOX_IMAGE", "", "image to use; empty: detbox:gpu or detbox:cpu, built here"),
    ("DETBOX_DATA_DIR", "./data", "folder of this machine that is /data in the containers, read-only"),
    ("MODELS_VOLUME", "models", "volume of the runs, or a folder of this machine (./models)"),
    (
        "RESULTS_DIR",
        "",
        "folder of this machine (./results) that gets report, images, exports and best checkpoint of a run",
    ),
    ("UID", "1000", "user that the runs belong to"),
    ("GID", "1000", "group that the runs belong to"),
    ("CUDA_VISIBLE_DEVICES", "0", "GPUs of the trainer (0,1; -1: none); without this line all, left empty none"),
    ("TF_CONFIG", "", "the machines that train together, and which one this is, for the profile workers"),
    ("PREPARE_MEMORY", "0", "memory limit of prepare (4g); 0: none"),
    ("TRAINER_MEMORY", "0", "memory limit of the trainer"),
    ("EVALUATOR_MEMORY", "0", "memory limit of the evaluator"),
    ("TENSORBOARD_MEMORY", "0", "memory limit of TensorBoard"),
    ("TRAINER_SHM", "1gb", "shared memory of the trainer"),
    ("TMP_SIZE", "2g", "size at most of each container's /tmp, which counts as its memory"),
    ("PIDS_LIMIT", "8192", "processes and threads of a container at most"),
    ("LOG_DRIVER", "json-file", "the engine's driver for logs, of those that have files: json-file or local"),
    (
        "BASE_IMAGE",
        "",
        "image to build on, best with its digest (NAME@sha256:..., by `docker buildx imagetools inspect NAME`); "
        "empty: nvidia/cuda:12.5.1-base-ubuntu24.04 or ubuntu:24.04",
    ),
    ("HOST_GPU", "required", "whether a build for GPUs wants a driver on this machine; none: it is for another"),
    ("BUILD_NETWORK", "default", "network of the build; host: that of this machine"),
    ("DETBOX_REVISION", "unknown", "git revision to write into the image; scripts/build-image gives it"),
    (
        "SERVING_MODEL",
        "",
        "model that TensorFlow Serving loads; empty: DETBOX_SERVING_NAME, else DETBOX_RUN, else sample",
    ),
    ("SERVING_MEMORY", "0", "memory limit of TensorFlow Serving"),
    ("SERVING_IMAGE", "tensorflow/serving:2.21.0", "image of TensorFlow Serving"),
    ("SERVING_GRPC_PORT", "8500", "port of TensorFlow Serving's gRPC"),
    ("SERVING_REST_PORT", "8501", "port of TensorFlow Serving's REST"),
    ("PROMETHEUS_IMAGE", "prom/prometheus:v3.5.0", "image of Prometheus"),
    ("PROMETHEUS_PORT", "9090", "port of Prometheus"),
    ("GRAFANA_IMAGE", "grafana/grafana:12.0.2", "image of Grafana"),
    ("GRAFANA_PORT", "3000", "port of Grafana"),
)
"""What compose.yaml reads besides the settings: variable, default, meaning."""

OF_VM = ("DETBOX_WHEN_DONE", "DETBOX_DATA_DISK", "DETBOX_DATA_COPY", "DETBOX_LOGIN")
OF_CONTAINERS = ("DETBOX_COMPOSE", "DETBOX_TENSORBOARD_PUBLISHED")
NOT_SETTINGS = {
    *(name for name, _, _ in COMPOSE_VARIABLES if name.startswith("DETBOX_")),
    "DETBOX_TEST_DATA",
    *OF_CONTAINERS,
    *OF_VM,
}
"""Variables with the prefix of settings that other parts read (tests, compose.yaml, deploy/host)."""

NAMES = [name for name, _, _ in COMPOSE_VARIABLES]
LONG_NAMES = [name for name in NAMES if len(name) > 4]
"""UID and GID are like too many others."""
WORDS = {"PREPARE", "TRAINER", "EVALUATOR", "TENSORBOARD", "SERVING", "PROMETHEUS", "GRAFANA", "MODELS", "RESULTS"}
"""With which no variable of others in a `.env` is likely to begin."""
ALIKE = 0.9
"""Of `difflib`'s ratio: TRAINR_MEMORY has 0.96 with what was meant, NVIDIA_VISIBLE_DEVICES 0.87 with what was not."""


def find_misspelt(names: Iterable[str]) -> str:
    """The first of `names` that compose.yaml passes over, though it was likely meant for it; empty without any."""
    for name in names:
        is_ours = name.partition("_")[0] in WORDS or difflib.get_close_matches(name, LONG_NAMES, n=1, cutoff=ALIKE)
        if name not in NAMES and is_ours and not name.startswith("COMPOSE_"):
            return name
    return ""
