"""The trial's bounds, its memory of what it has tried, and what is said of a failure."""

import logging
import sys

import pytest
from damaged_records import flip, offsets
from refusals import refused

from app.dataset import records
from app.errors import DatasetError, SettingsError
from app.pipeline.build import Request, build
from app.run.directory import Run
from app.run.files import read_json
from app.services import trial

LIMITS = trial.Limits(seconds=60, bytes=1 << 30)
PASSED = '{"stage": "an evaluation step", "ended": true, "failure": null}'
FAILED = '{"stage": "%s", "ended": true, "failure": {"message": "%s", "where": "%s", "of_records": %s}}'


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "r")


@pytest.fixture
def config():
    return build(Request(model="tiny", num_classes=1)).config


@pytest.fixture
def child(monkeypatch, tmp_path):
    """`child(program)` makes a program of Python the trial's process; it counts its starts in `starts`."""
    starts = tmp_path / "starts"

    def use(program: str):
        code = f"import sys, time\nopen({str(starts)!r}, 'a').write('x')\nreport = sys.argv[2]\n{program}"
        monkeypatch.setattr(trial, "COMMAND", (sys.executable, "-c", code))
        return lambda: len(starts.read_text())

    return use


def write(report: str) -> str:
    return f"open(report, 'w').write({report!r})"


def test_passed_once_it_is_not_tried_again(run, config, child, caplog):
    """The same config on the same records; another of either is tried."""
    starts = child(write(PASSED))
    for _ in range(2):
        trial.try_pipeline(run, config, "records", LIMITS)
    assert starts() == 1
    trial.try_pipeline(run, config, "other records", LIMITS)
    config.train_config.batch_size += 1
    trial.try_pipeline(run, config, "other records", LIMITS)
    assert starts() == 3


def test_what_the_process_prints_goes_to_the_runs_log(run, config, child, capfd):
    """Nothing of it reaches the terminal."""
    child(f"print('noise'); print('more', file=sys.stderr)\n{write(PASSED)}")
    trial.try_pipeline(run, config, "records", LIMITS)
    assert capfd.readouterr().out == ""
    assert run.log("trial").read_text() in ("noise\nmore\n", "more\nnoise\n")


def test_a_failure_is_the_configs_with_its_field(run, config, child):
    """A step that is named; else the field that the message speaks of; else the part that the stage is about."""
    child(write(FAILED % ("reading training images", "no", "train_config.data_augmentation_options[1] x", "false")))
    with refused(SettingsError, where="options[1] x", flag="--model", about="no"):
        trial.try_pipeline(run, config, "records", LIMITS)
    child(write(FAILED % ("building the model", "ssd_mobilenet_v2_fpn_keras is unknown", "", "false")))
    with refused(SettingsError, where="model.ssd.feature_extractor.type"):
        trial.try_pipeline(run, config, "records", LIMITS)
    child(write(FAILED % ("building the optimizer", "no", "", "false")))
    with refused(SettingsError, where="train_config.optimizer"):
        trial.try_pipeline(run, config, "records", LIMITS)
    assert not run.trial.exists()


def test_records_that_cant_be_read_are_the_datas_fault(run, config, child):
    """Exit code 4, with the records' folder."""
    for reader in (config.train_input_reader, *config.eval_input_reader):
        del reader.tf_record_input_reader.input_path[:]
    child(write(FAILED % ("reading training images", "corrupted record", "", "true")))
    with refused(DatasetError, where=str(run.records), about="corrupted record"):
        trial.try_pipeline(run, config, "records", LIMITS)


def test_too_long_is_a_warning_that_is_remembered(run, config, child, caplog):
    """Training goes on; a trial with more time is tried again, one with as much is not."""
    starts = child(f"{write(PASSED.replace('true', 'false'))}\ntime.sleep(60)")
    with caplog.at_level(logging.WARNING):
        for seconds in (1, 1):
            trial.try_pipeline(run, config, "records", trial.Limits(seconds, 1 << 30))
    assert starts() == 1
    assert len(caplog.records) == 2
    assert "an evaluation step took more than 1 s" in caplog.text and "--trial_secs" in caplog.text
    child(write(PASSED))
    trial.try_pipeline(run, config, "records", LIMITS)
    assert starts() == 2
    assert read_json(run.trial)["given_up"] == ""


@pytest.mark.parametrize(
    "program",
    [
        "x = bytearray(1 << 30)\nfor i in range(0, 1 << 30, 4096): x[i] = 1\ntime.sleep(60)",
        "import os; os.kill(os.getpid(), 9)",
        write(FAILED % ("a training step", "ResourceExhaustedError: OOM", "", "false")),
    ],
    ids=["too much", "killed", "allocation failed"],
)
def test_no_memory_is_a_warning(run, config, child, caplog, program):
    """Whoever ends it: the machine that trains may have more."""
    child(program)
    trial.try_pipeline(run, config, "records", trial.Limits(60, 100 << 20))
    assert "memory" in caplog.text and "--image_size" in caplog.text


def test_a_record_that_is_damaged_is_named(run, config, child, tmp_path):
    """Whichever stage met it: the file and the offset, as an error of the data set."""
    path = tmp_path / "val.record"
    with open(path, "wb") as file:
        for data in (b"first", b"second"):
            records.append(file, data)
    flip(path, offsets(path)[1] + 14)
    config.train_input_reader.tf_record_input_reader.input_path[:] = [str(path)]
    config.eval_input_reader[0].tf_record_input_reader.input_path[:] = [str(path)]
    for stage, owed in (("reading training images", "true"), ("an evaluation step", "false")):
        child(write(FAILED % (stage, "DataLossError: corrupted record at 21", "", owed)))
        with refused(DatasetError, where="val.record", about="byte 21"):
            trial.try_pipeline(run, config, "records", LIMITS)
        trial.try_pipeline(run, config, "records", LIMITS, skips_records=True)
