"""The command line: what it accepts, what it refuses before anything is done, what it prints."""

import dataclasses
import functools
import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app import errors, jobs
from app.jobs import Job
from app.settings import FIELDS, Settings
from entrypoint import process as entrypoint
from entrypoint.commands import COMMANDS, functions
from entrypoint.results import present

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No .env of the checkout and none of the caller's variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DETBOX_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def ran(monkeypatch):
    """The settings with which `train` was run; nothing is trained."""
    calls = []
    monkeypatch.setattr(jobs, "load", lambda command: lambda settings: calls.append(settings))
    return calls


def detbox(*arguments, **options):
    """Runs `python -m entrypoint` as a user does."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    argv = [sys.executable, *options.pop("python", []), "-m", "entrypoint", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=60, **options)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--batch_size=8 --run=2024", {"batch_size": 8, "run": "2024"}),
        ("--batch_size 8 --run 2024", {"batch_size": 8, "run": "2024"}),
        ("--batch-size=8", {"batch_size": 8}),
        ("--debug", {"debug": True}),
        ("--debug --seed=3", {"debug": True, "seed": 3}),
        ("--nodebug", {"debug": False}),
        ("--debug=false", {"debug": False}),
        ("--noresume", {"resume": False}),
        ("--run=1e5", {"run": "1e5"}),
        ("--run=None", {"run": "None"}),
        ("--dataset=[a,b]", {"dataset": "[a,b]"}),
        ("--config_override=model{ssd{}}", {"config_override": "model{ssd{}}"}),
        ("--learning_rate=1e-3", {"learning_rate": 1e-3}),
        ("", {}),
    ],
)
def test_flags_become_settings(line, expected):
    """A value is a string to Fire, whatever it looks like, and is typed by its setting alone."""
    job = entrypoint.parse(["train", *line.split()])
    assert job == Job("train", dataclasses.replace(Settings(), **expected))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trian", "command trian is unknown -> did you mean train?"),
        ("settings", "command settings is unknown -> see detbox --help"),
        ("train --batchsize=5", "train: flag --batchsize is unknown -> did you mean --batch_size?"),
        ("train --stepz=5", "train: flag --stepz is unknown -> did you mean --num_train_steps?"),
        ("tensorboard --port=1", "did you mean --tensorboard_port?"),
        ("train --xyzzy=5", "flag --xyzzy is unknown -> see detbox train --help"),
        ("train --tensorboard_port=1", "--tensorboard_port is not used by train"),
        ("train -seed=1", "flag -seed is unknown -> did you mean --seed?"),
        ("train -d", "flag -d is unknown"),
        ("train --norun", "flag --norun is unknown"),
        ("train --run", "flag --run has no value -> write --run=VALUE"),
        ("train --run --debug", "flag --run has no value"),
        ("train run", "'run' is not a flag"),
        ("train settings", "'settings' is not a flag"),
        ("train --seed=1 5", "'5' is not a flag"),
        ("train --debug false", "'false' is not a flag"),
        ("train - command", "flag - is unknown"),
        ("train -- --interactive", "flag -- is unknown"),
        ("train -- --trace", "flag -- is unknown"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_runs(ran, capsys, line, words):
    """Exit code 2, one line with the nearest name, nothing on stdout, nothing started."""
    assert entrypoint.run(line.split()) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert (err.count("\n"), out, ran) == (1, "", [])


def test_a_wrong_value_is_a_settings_error(ran, capsys):
    """Exit code 3, and the line names flag and variable."""
    assert entrypoint.run(["train", "--batch_size=many"]) == 3
    assert "--batch_size: 'many' is not valid" in capsys.readouterr().err
    assert ran == []


def test_fire_itself_would_run_it(ran):
    """Why a Job is not callable: Fire runs a function before it finds an unknown flag."""
    import fire

    with pytest.raises(fire.core.FireExit):
        fire.Fire(functions(), ["train", "--stepz=5"], name="detbox")
    assert ran == []
    assert not callable(Job("train", Settings()))
    assert [field.name for field in dataclasses.fields(Job)] == ["command", "settings"]


def test_the_job_runs_once_with_its_settings(ran, capsys):
    """A right line runs its command, and Fire prints nothing of its own."""
    assert entrypoint.run(["train", "--seed=4"]) == 0
    assert [settings.seed for settings in ran] == [4]
    assert capsys.readouterr() == ("", "")


def test_every_command_has_its_job():
    """A command without a use case would be found by its first user."""
    assert [name for name in COMMANDS if not callable(jobs.load(name))] == []


def test_every_setting_is_a_flag_somewhere():
    """A setting that no command uses is dead."""
    used = {name for command in COMMANDS.values() for name in command.settings}
    assert sorted(set(FIELDS) - used) == []


def test_functions_are_generated_from_the_declaration():
    """A command's keyword-only arguments are its settings, each with its line."""
    for name in COMMANDS:
        function = functools.reduce(dict.__getitem__, name.split(), functions())
        parameters = inspect.signature(function).parameters
        assert tuple(parameters) == COMMANDS[name].settings
        assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
        assert all(f"  {setting}: {FIELDS[setting].metadata['doc']}" in function.__doc__ for setting in parameters)


def test_words_become_a_setting():
    """Words without a flag are the one setting that the command names, joined; anywhere in the line."""
    job = entrypoint.parse(["report", "first", "--output=a.html", "second", "--json"])
    assert (job.settings.compare, job.settings.output, job.settings.json) == ("first,second", "a.html", True)
    assert entrypoint.parse(["detect", "a b.jpg", "c,d.jpg"]).settings.input == "a b.jpg\nc,d.jpg"
    assert entrypoint.parse(["zoo", "fetch", "x"]) == Job("zoo fetch", dataclasses.replace(Settings(), model="x"))


def test_options_are_frozen():
    """Taking away or renaming a flag breaks people's scripts: this list changes only on purpose."""
    assert list(COMMANDS) == [
        "up",
        "sample",
        "prepare",
        "inspect",
        "train",
        "evaluate",
        "export",
        "promote",
        "detect",
        "report",
        "zoo list",
        "zoo fetch",
        "migrate",
        "events stats",
        "events compact",
        "tensorboard",
        "status",
        "logs",
        "stop",
        "health",
        "doctor",
    ]
    assert COMMANDS["tensorboard"].settings == (
        "models_dir",
        "run",
        "dataset",
        "tensorboard_host",
        "tensorboard_port",
        "tensorboard_samples_per_plugin",
        "tensorboard_until_done",
        "tensorboard_linger",
        "compare",
        "json",
        "debug",
    )


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_every_command(arguments):
    """On stdout, exit code 0, no pager, nothing of Fire's."""
    done = detbox(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in COMMANDS if f"\n  {name} " not in done.stdout] == []
    assert "GROUPS" not in done.stdout and "\x1b" not in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_lists_its_flags(capsys, name):
    """Each flag with its meaning; asked for anywhere in the line."""
    assert entrypoint.run([*name.split(), "--seed=1", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for setting in COMMANDS[name].settings:
        assert f"--{setting}" in text or f"--no{setting}" in text
        assert FIELDS[setting].metadata["doc"] in text


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("trian",), ("train", "--stepz=1")])
def test_help_and_refusals_import_nothing_heavy(arguments):
    """Neither TensorFlow nor pydantic nor rich: help answers at once."""
    done = detbox(*arguments, python=["-X", "importtime"])
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time" in line}
    assert "app.settings" in loaded
    assert loaded & {"tensorflow", "pydantic", "rich", "numpy", "tensorboard", "object_detection"} == set()


class ResourceExhaustedError(Exception):
    """Has the name of TensorFlow's."""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            errors.DatasetError("no boxes", where="a.xml", remedy="draw some"),
            4,
            "error: a.xml: no boxes -> draw",
        ),
        (errors.PatchMismatchError("x"), 5, "detbox: error: x"),
        (errors.DivergedError("x"), 6, "detbox: error: x"),
        (MemoryError(), 7, "out of memory: no memory left -> a smaller --batch_size / DETBOX_BATCH_SIZE"),
        (ResourceExhaustedError("OOM when\nallocating"), 7, "detbox: error: out of memory: OOM when ->"),
        (
            OSError(5, "Input/output error", "x"),
            3,
            "detbox: error: x: input/output error -> free or choose another place",
        ),
        (
            RuntimeError("{{function_node W}} x/events; Read-only file system [Op:W]"),
            3,
            "error: read-only file system ->",
        ),
        (RuntimeError("x; Disk quota exceeded"), 3, "detbox: error: disk quota exceeded ->"),
        (errors.GateError("x"), 8, "detbox: error: x"),
        (errors.ServiceError("x", exit_code=137), 137, "detbox: error: x"),
        (
            errors.Stopped("step 7 is saved", signal_number=signal.SIGTERM),
            143,
            "detbox: stopped: step 7 is saved",
        ),
        (KeyboardInterrupt(), 130, "detbox: stopped: interrupted"),
        (KeyError("loss"), 1, "detbox: internal error: KeyError: 'loss' (at test_entrypoint.py:"),
    ],
)
def test_an_error_is_one_line_and_its_code(monkeypatch, capsys, error, code, words):
    """No traceback without --debug, whatever it was."""
    monkeypatch.setattr(jobs, "load", lambda command: lambda settings: raising(error))
    assert entrypoint.run(["train"]) == code
    out, err = capsys.readouterr()
    assert words in err
    assert (err.count("\n"), out) == (1, "")


def raising(error):
    """Raises it."""
    raise error


def test_a_stop_inside_of_tensorflow_is_a_stop(monkeypatch, capsys):
    """TensorFlow wraps what is raised while it traces a graph, and drops the cause; the context stays."""

    def train(settings):
        try:
            try:
                raise errors.Stopped("step 3 is saved", signal_number=signal.SIGTERM)
            except errors.Stopped:
                raise RuntimeError("inner") from None
        except RuntimeError:
            raise RuntimeError("in user code: " + "word " * 999) from None

    monkeypatch.setattr(jobs, "load", lambda command: train)
    assert entrypoint.run(["train"]) == 143
    assert capsys.readouterr().err == "detbox: stopped: step 3 is saved\n"


def test_the_line_of_a_bug_is_short(monkeypatch, capsys):
    """TensorFlow's messages run over pages; the log has them whole."""
    monkeypatch.setattr(jobs, "load", lambda command: lambda settings: raising(RuntimeError("word\n" * 999)))
    assert entrypoint.run(["train"]) == 1
    err = capsys.readouterr().err
    assert (err.count("\n"), len(err) < 400) == (1, True)


def test_debug_shows_the_traceback(monkeypatch, capsys):
    """--debug is for whoever wants to know where."""
    monkeypatch.setattr(jobs, "load", lambda command: lambda settings: raising(KeyError("loss")))
    assert entrypoint.run(["train", "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_bug_leaves_its_traceback_in_the_runs_log(monkeypatch, capsys, tmp_path):
    """Whoever reports the bug has it, and the line says where."""
    (tmp_path / "models" / "r").mkdir(parents=True)
    monkeypatch.setattr(jobs, "load", lambda command: lambda settings: raising(KeyError("loss")))
    assert entrypoint.run(["status", "--run=r"]) == 1
    log = Path("models/r/logs/status.log")
    assert f"traceback in {log.resolve()}" in capsys.readouterr().err
    assert "KeyError: 'loss'" in log.read_text()


def test_a_typo_in_a_runs_name_makes_no_folder(tmp_path):
    """Asking after a run that is not there leaves nothing behind."""
    done = detbox("status", "--run=tpyo", cwd=tmp_path)
    assert done.returncode == 3
    assert "there is no run tpyo" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    """`detbox status | head -0` ends quietly, with the code of SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "entrypoint", "status", "--json"]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, env=environ, cwd=tmp_path, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@dataclasses.dataclass
class Result:
    """What a job may return."""

    path: Path
    count: int

    def __str__(self):
        return f"{self.count} in {self.path}"


@pytest.mark.parametrize(
    ("result", "text", "value"),
    [
        (None, "", None),
        ("done", "done\n", "done"),
        ({"a": 1, "bcd": 2}, "a    1\nbcd  2\n", {"a": 1, "bcd": 2}),
        (["x", "y"], "x\ny\n", ["x", "y"]),
        (Result(Path("p"), 3), "3 in p\n", {"path": "p", "count": 3}),
    ],
)
def test_results_are_text_or_json(result, text, value):
    """Text for people; with --json always one JSON value."""
    assert present(result, as_json=False) == text
    assert json.loads(present(result, as_json=True)) == value


def test_from_is_short_for_from_run():
    """Python has no parameter of that name; other commands do not know it."""
    assert entrypoint.parse(["train", "--from=a/run.json"]).settings.from_run == "a/run.json"
    with pytest.raises(errors.UsageError):
        entrypoint.parse(["prepare", "--from=a/run.json"])
