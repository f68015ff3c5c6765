"""`docker compose up --build` from a fresh clone, to its end: everything that one run can show."""

import json
import re
import subprocess
import time
import urllib.request

import pytest
from compose_project import SHORT, docker, wait_for

from app.settings import FIELDS

pytestmark = pytest.mark.container


class Finished:
    """A project whose `up` has ended, with what was seen meanwhile."""

    def __init__(self, project, code, output, tags):
        self.project, self.code, self.output, self.tags = project, code, output, tags
        self.volume = project.volume()


def scalar_tags(project) -> dict | None:
    """The tags that the project's TensorBoard lists over HTTP, once training's losses are among them."""
    found = re.search(r":(\d+)$", project.run("port", "tensorboard", "6006").stdout.strip())
    try:
        url = f"http://127.0.0.1:{found[1]}/data/plugin/scalars/tags" if found else ""
        with urllib.request.urlopen(url, timeout=10) as answer:
            tags = json.load(answer)
    except (OSError, ValueError):
        return None
    return tags if "Loss/total_loss" in str(tags) else None


@pytest.fixture(scope="module")
def finished(projects, image):
    """The sample trained by one command, with neither a .env nor data."""
    project = projects(**SHORT, RESULTS_DIR="./out")
    (project.folder / "out").mkdir(mode=0o777)
    (project.folder / "out").chmod(0o777)
    log = project.folder / "up.log"
    with open(log, "w") as output:
        argv = project.argv("up", "--build")
        up = subprocess.Popen(argv, cwd=project.folder, env=project.shell, stdout=output, stderr=subprocess.STDOUT)
        try:
            tags = wait_for(lambda: up.poll() is not None or scalar_tags(project), 900, "TensorBoard lists losses")
            up.wait(timeout=900)
        finally:
            up.terminate()
    return Finished(project, up.returncode, log.read_text(), tags)


def test_it_ends_with_code_0_and_so_does_every_service(finished):
    """`up` returns by itself; prepare, trainer, evaluator and TensorBoard have all ended well."""
    assert finished.code == 0, finished.output[-4000:]
    for service in ("prepare", "trainer", "evaluator", "tensorboard"):
        state = finished.project.inspect(service)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), service
        assert finished.project.inspect(service)["RestartCount"] == 0, service
    assert "Traceback" not in finished.output


def test_the_volume_has_a_trained_and_evaluated_run(finished):
    """All steps, every checkpoint evaluated whole, the best one copied, the revision written down."""
    volume = finished.volume
    assert volume.json("sample/DONE")["step"] == 40
    assert volume.json("sample/DONE")["reason"] == "completed"
    assert volume.steps() == list(range(1, 41))
    rows = volume.lines("sample/evaluations.jsonl")
    assert [row["step"] for row in rows] == [20, 40]
    assert all(row["images"] == row["expected"] > 0 for row in rows)
    best = volume.json("sample/best/best.json")["step"]
    assert f"sample/best/ckpt-{best}.index" in volume.files
    assert "sample/exports/image_tensor/saved_model/saved_model.pb" in volume.files
    assert volume.json("sample/exports/image_tensor/card.json")["step"] == best
    assert volume.json("sample/run.json")["versions"]["object-detection"] == "0.1+detbox.1"


def test_the_results_are_where_one_reaches_them(finished):
    """Report, drawn images, export and best checkpoint in the folder of this machine, or by `cp`."""
    out = finished.project.folder / "out" / "sample"
    assert (out / "report.html").stat().st_size > 10_000
    assert list((out / "detections").glob("*.jpg"))
    assert (out / "exports/image_tensor/saved_model/saved_model.pb").is_file()
    assert list((out / "best").glob("ckpt-*.index"))
    finished.project.ok("cp", "evaluator:/models/sample/report.html", str(finished.project.folder / "copied.html"))
    assert (finished.project.folder / "copied.html").read_bytes() == (out / "report.html").read_bytes()


def test_the_files_belong_to_the_user(finished):
    """Nothing in the volume is root's."""
    assert {tuple(owner) for owner in finished.volume.files.values()} == {(1000, 1000)}


def test_tensorboard_answered_over_http(finished):
    """While it trained, the losses were there to see."""
    assert "Loss/total_loss" in str(finished.tags)


def test_the_evaluator_had_no_gpu(finished):
    """No device of the host, none by NVIDIA's runtime, none for CUDA; and it said so of none."""
    config = finished.project.inspect("evaluator")
    assert not config["HostConfig"]["DeviceRequests"] and not config["HostConfig"]["Devices"]
    assert {"CUDA_VISIBLE_DEVICES=-1", "NVIDIA_VISIBLE_DEVICES=void"} <= set(config["Config"]["Env"])


def test_every_service_is_healthy_by_its_own_check(finished):
    """The commands of the healthchecks, in their containers' image: an ended service is in good health."""
    for service in ("trainer", "evaluator"):
        check = finished.project.inspect(service)["Config"]["Healthcheck"]["Test"]
        assert check[:3] == ["CMD", "detbox", "health"]
        told = finished.project.ok("run", "--rm", "--no-deps", service, *check[2:])
        assert "done at step 40" in told


def test_any_command_runs_on_the_volume(finished):
    """`docker compose run --rm trainer COMMAND`, with what it prints on stdout."""
    done = finished.project.run("run", "--rm", "detbox", "status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"][0]["step"] == 40
    assert "usage: detbox evaluate" in finished.project.ok("run", "--rm", "--no-deps", "trainer", "evaluate", "--help")


def test_more_steps_train_on(finished):
    """A larger number trains the same run on, although DONE of the first was there; up again ends by itself."""
    finished.project.shell["DETBOX_NUM_TRAIN_STEPS"] = "50"
    done = finished.project.run("up", timeout=600)
    assert done.returncode == 0, done.stdout[-3000:]
    volume = finished.project.volume()
    assert volume.json("sample/DONE")["step"] == 50
    assert volume.steps() == list(range(1, 51))
    assert volume.lines("sample/evaluations.jsonl")[-1]["step"] == 50


def test_tensorboard_shows_a_finished_run_again(finished):
    """Started on a run that has ended, it stays until it is stopped."""
    finished.project.ok("up", "--detach", "tensorboard")
    assert wait_for(lambda: scalar_tags(finished.project), 120, "TensorBoard lists the losses again")
    time.sleep(FIELDS["tensorboard_linger"].default + 3)
    assert finished.project.inspect("tensorboard")["State"]["Running"]
    finished.project.ok("stop")
    assert finished.project.inspect("tensorboard")["State"]["ExitCode"] == 0


def test_down_leaves_the_volume(finished):
    """What was trained outlives its containers."""
    finished.project.ok("down")
    assert docker("volume", "inspect", f"{finished.project.name}_models").returncode == 0
    assert finished.project.volume().json("sample/DONE")["step"] == 50
