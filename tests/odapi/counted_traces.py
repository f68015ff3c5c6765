"""Runs `detbox train FLAG...` and prints how often its step was traced, and whether garbage is collected after it."""

import gc
import os
import sys
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
from object_detection import model_lib_v2

from entrypoint.__main__ import run

step = model_lib_v2.eager_train_step
traced = 0


def count(*args: Any, **kwargs: Any) -> Any:
    global traced
    traced += 1
    return step(*args, **kwargs)


model_lib_v2.eager_train_step = count
code = run(["train", *sys.argv[1:]])
print(f"traced {traced}, garbage collected {gc.isenabled()}")
raise SystemExit(code)
