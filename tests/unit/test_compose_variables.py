"""What is not one of compose.yaml's variables and was likely meant to be."""

import pytest

from app.compose_variables import NAMES, find_misspelt


@pytest.mark.parametrize("name", ["TRAINR_MEMORY", "TRAINER_MEM", "EVALUATOR_MEMROY", "MODEL_VOLUME", "BASEIMAGE"])
def test_a_misspelt_name_is_found(name):
    """By its first word, or as a whole."""
    assert find_misspelt(["PATH", *NAMES, name]) == name


def test_what_others_have_is_no_business_of_ours():
    """The variables of a container of the image, of CUDA, of a shell and of other programs."""
    others = ["PATH", "HOME", "HOSTNAME", "USER", "UUID", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_REQUIRE_CUDA", "TF_CONFIG"]
    others += [
        "CUDA_CACHE_PATH",
        "CUDA_VISIBLE_DEVICES",
        "COMPOSE_PARALLEL_LIMIT",
        "AWS_REGION",
        "PYTHONPATH",
        "TMPDIR",
    ]
    assert find_misspelt([*others, *NAMES]) == ""
