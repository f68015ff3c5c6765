"""`up` where a launcher's variables say that this process is one of several."""

import json

from refusals import refused

from app.environment import load
from app.errors import SettingsError
from app.jobs import up


def test_up_is_refused_on_all_workers_but_the_chief(tmp_path, monkeypatch):
    """Two of them would prepare the same run; the others train."""
    task = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    with refused(SettingsError, where="TF_CONFIG", about="worker 1"):
        up.run(load({"models_dir": str(tmp_path)}, environ={}, dotenv=None))
    assert not list(tmp_path.iterdir())
