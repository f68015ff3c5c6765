"""What SkyPilot itself makes of tasks, a line of JSON each: run with SkyPilot installed, beside nothing of detbox.

python skypilot_task.py NAME=VALUE TASK.yaml...
"""

import json
import sys

import sky
import yaml


def describe(path: str, variables: dict[str, str]) -> dict:
    """The task, or the error that it is refused with."""
    with open(path) as file:
        written = yaml.safe_load(file)
    try:
        task = sky.Task.from_yaml_config(written, variables)
    except Exception as error:
        return {"error": str(error)}
    return {
        "nodes": task.num_nodes,
        "spot": [one.use_spot for one in task.resources],
        "recovery": [one.job_recovery for one in task.resources],
        "mounts": {path: [one.name, one.mode.value] for path, one in task.storage_mounts.items()},
    }


name, value = sys.argv[1].split("=", 1)
for task in sys.argv[2:]:
    print(json.dumps(describe(task, {name: value})), flush=True)
