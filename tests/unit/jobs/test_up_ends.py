"""`up` from the command line to its last line, with programs of a few lines in place of the services."""

import json
import socket
import urllib.request

import fake_services as fake
import pytest
import webhook

from app.errors import DatasetError, SettingsError
from app.jobs import prepare as prepare_job
from app.services import trio
from app.services.tensorboard import find_free_port
from entrypoint.__main__ import run as detbox


@pytest.fixture
def board(monkeypatch, tmp_path):
    """`up` in an empty folder with fakes for all that is not its own; records what was called, with what."""
    monkeypatch.chdir(tmp_path)
    calls = []

    def services(run, environ, **options):
        calls.append(("services", environ))
        return [
            fake.service(run, "trainer", calls.trainer, 5, 0.05),
            fake.service(run, "evaluator", fake.EVALUATOR),
            fake.service(run, "tensorboard", fake.FOREVER, "tb", essential=False),
        ]

    class Calls(list):
        trainer = fake.TRAINER

        def names(self):
            return [name for name, _ in self]

    calls = Calls()
    monkeypatch.setattr(trio, "make_services", services)
    monkeypatch.setattr(prepare_job, "run", lambda settings, trains_here: calls.append(("prepare", settings)))
    return calls


def test_up_ends_with_what_matters(board, capsys, tmp_path):
    """Where the run is, the best score with its step, the images, and the command that shows it again."""
    assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
    assert board.names() == ["prepare", "services"]
    out = capsys.readouterr().out
    for line in (
        "models/r: completed at step 5 after",
        "mAP 0.310 at step 5",
        "models/r/detections",
        "models/r/report.html",
        f"detbox tensorboard --models_dir={tmp_path}/models --run=r",
    ):
        assert line in out


def test_up_names_what_was_exported(board, capsys, tmp_path):
    """The forms with a card; what is still being made has a hidden name."""
    assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
    assert "exports" not in capsys.readouterr().out
    for form in ("onnx", "frozen_graph", ".tflite.half"):
        folder = tmp_path / "models" / "r" / "exports" / form
        folder.mkdir(parents=True)
        (folder / "card.json").write_text("{}")
    assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
    assert "exports     frozen_graph, onnx\n" in capsys.readouterr().out


def test_up_writes_the_report(board, capsys, tmp_path):
    """With the run's own figures, also for a run that is finished already."""
    assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
    page = tmp_path / "models" / "r" / "report.html"
    assert "0.310 at step 5" in page.read_text("utf-8")
    page.unlink()
    capsys.readouterr()
    assert detbox(["up", "--run=r", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(page)
    assert page.is_file()


def test_a_report_that_fails_is_no_failure_of_the_run(board, capsys, monkeypatch, tmp_path):
    """The run ends well; a warning says why there is no page, and how to learn more."""

    def fail(*given, **named):
        raise ValueError("no such figure\nmore of it")

    monkeypatch.setattr("app.report.run_report.read_report", fail)
    assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
    out, err = capsys.readouterr()
    assert "no report.html: ValueError: no such figure -> detbox report --run=r --debug" in err
    assert "none written" in out
    assert not (tmp_path / "models" / "r" / "report.html").exists()


def test_services_get_the_settings_of_up(board):
    """As variables; the run's name and a port that was free are pinned."""
    assert detbox(["up", "--batch_size=3", "--tensorboard_port=0", "--noresume"]) == 0
    environ = dict(board)["services"]
    assert {name: environ[f"DETBOX_{name}"] for name in ("BATCH_SIZE", "RESUME", "RUN")} == {
        "BATCH_SIZE": "3",
        "RESUME": "false",
        "RUN": "sample",
    }
    assert int(environ["DETBOX_TENSORBOARD_PORT"]) > 0


def test_a_busy_port_is_passed_over_and_told(board, capsys):
    """The next one is taken: a TensorBoard of another run is no reason not to train."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        busy = server.getsockname()[1]
        assert detbox(["up", f"--tensorboard_port={busy}"]) == 0
    taken = int(dict(board)["services"]["DETBOX_TENSORBOARD_PORT"])
    assert taken > busy
    err = capsys.readouterr().err
    assert str(busy) in err and str(taken) in err


def test_a_finished_run_starts_nothing(board, capsys):
    """It says so, with what to do, and shows the end again."""
    assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
    capsys.readouterr()
    board.clear()
    assert detbox(["up", "--run=r", "--json"]) == 0
    out, err = capsys.readouterr()
    assert board.names() == []
    assert "--num_train_steps" in err and "--run=NAME" in err
    assert json.loads(out)["best"] == {"step": 5, "value": 0.31}


def test_more_steps_make_a_finished_run_go_on(board):
    """--num_train_steps beyond the last step starts the services again."""
    assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
    assert detbox(["up", "--run=r", "--tensorboard_port=0", "--num_train_steps=9"]) == 0
    assert board.names() == ["prepare", "services"] * 2


def test_a_data_set_that_fails_starts_nothing(board, capsys, monkeypatch):
    """The error of prepare is the error of up."""

    def prepare(settings, trains_here):
        raise DatasetError("no images", where="d")

    monkeypatch.setattr(prepare_job, "run", prepare)
    assert detbox(["up"]) == 4
    assert "detbox: error: d: no images" in capsys.readouterr().err
    assert board.names() == []


def test_a_trainer_that_fails_gives_up_its_code(board, capsys, tmp_path):
    """The last line names cause and log."""
    board.trainer = fake.CRASH
    assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 6
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        "detbox: error: the trainer ended with code 6: loss is not finite at step 3 "
        f"-> its log is {tmp_path}/models/r/logs/trainer.log"
    )
    assert board.names() == ["prepare", "services"]


def test_up_serves_the_metrics_of_both_services(board, tmp_path):
    """On the one port, which trainer and evaluator do not take once more."""
    port = find_free_port("127.0.0.1", 0)
    assert detbox(["up", "--run=r", "--tensorboard_port=0", f"--metrics_port={port}"]) == 0
    assert dict(board)["services"]["DETBOX_METRICS_PORT"] == "0"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        text = page.read().decode()
    for service in ("trainer", "evaluator"):
        assert f'detbox_service_state{{run="r",service="{service}",state="done"}} 1.0' in text


def test_a_busy_port_of_the_metrics_is_told_before_any_work(board, capsys):
    """One line, exit code 3, nothing prepared."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert detbox(["up", "--run=r", f"--metrics_port={port}"]) == SettingsError.exit_code
    assert board.names() == []
    assert f"127.0.0.1:{port}" in capsys.readouterr().err.splitlines()[-1]


def test_people_are_told_once(board, monkeypatch, capsys):
    """Of the end, not again when the finished run is shown, and of a data set that fails."""
    pytest.importorskip("apprise")
    with webhook.listening() as hook:
        monkeypatch.setenv("DETBOX_NOTIFY", hook.address)
        assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
        assert detbox(["up", "--run=r", "--tensorboard_port=0"]) == 0
        fake.wait_for(lambda: hook.messages)
        (message,) = hook.messages
        assert "is done at step 5 of 5, best mAP 0.310 at step 5: completed" in message["message"]

        def fail(settings, trains_here):
            raise DatasetError("no boxes", where="a.xml")

        monkeypatch.setattr(prepare_job, "run", fail)
        assert detbox(["up", "--run=other", "--tensorboard_port=0"]) == 4
        fake.wait_for(lambda: len(hook.messages) == 2)
        assert "has failed before it began: no boxes (exit code 4)" in hook.messages[1]["message"]
        assert hook.SECRET not in str(capsys.readouterr())


def test_an_address_that_is_none_starts_nothing(board, capsys):
    """Exit code 3 before anything is made."""
    pytest.importorskip("apprise")
    assert detbox(["up", "--run=r", "--notify=slak://s3cr3t"]) == 3
    assert board.names() == []
    err = capsys.readouterr().err
    assert "slak://" in err and "s3cr3t" not in err
