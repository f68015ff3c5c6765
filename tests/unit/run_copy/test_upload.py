"""The copying of a run: what goes up, what stays, who may."""

import os
import time

import copied_runs
import pytest
from copied_runs import upload, wipe, write_run
from refusals import refused

from app.errors import SettingsError
from app.run_copy.manifest import MOST_BYTES, PART_BYTES, parse
from app.run_copy.store import CopyStore, Overtaken
from app.run_copy.upload import Uploader


@pytest.fixture
def run(tmp_path):
    """A run to copy."""
    return write_run(tmp_path / "models")


def age(run, seconds=10):
    """Files that were written so long ago."""
    at = time.time() - seconds
    for path in run.root.rglob("*"):
        if path.is_file():
            os.utime(path, (at, at))


def manifest(place):
    return parse(place.read("wheels/manifest.json"), "here")


def test_only_what_belongs_to_a_run_is_copied(run, place):
    """Not locks, half-written files, what tells of a process of this machine, what is broken or made again."""
    upload(run, place.url)
    assert {file.path for file in manifest(place).files} == set(copied_runs.files(run))
    assert manifest(place).step == 7


def test_a_second_copy_sends_what_is_new(run, place):
    """Of a file that has grown its last part; of one that was renamed nothing."""
    log = run.train_events / "events.out.tfevents.1.v2"
    log.write_bytes(os.urandom(2 * PART_BYTES + 5))
    age(run)
    uploader = upload(run, place.url)
    assert uploader.copy().bytes == 0
    with open(log, "ab") as file:
        file.write(b"more")
    (run.root / "pipeline.config").rename(run.root / "pipeline.config.by-hand")
    assert uploader.copy().bytes == 9


def test_files_that_did_not_change_are_not_read(run, place, monkeypatch):
    """Neither by the process that copied them nor by the next one."""
    age(run)
    uploader = upload(run, place.url)
    read = []
    monkeypatch.setattr("app.run_copy.upload._read_parts", lambda file, size: read.append(file.name) or iter(()))
    uploader.copy()
    fresh = Uploader(run, uploader.store)
    fresh.begin()
    assert fresh.copy().bytes == 0
    assert [name for name in read if "sync.json" not in name] == []


def test_a_file_that_may_have_changed_within_a_tick_is_read_again(run, place):
    """Same size, same time, written right after it was copied."""
    run.pipeline_config.write_text("model A")
    uploader = upload(run, place.url)
    stat = run.pipeline_config.stat()
    run.pipeline_config.write_text("model B")
    os.utime(run.pipeline_config, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert uploader.copy().bytes == 7


def test_what_is_no_longer_named_is_deleted_a_manifest_later(run, place):
    """Who restores from the one before may still read it; nothing that is named is ever missing."""
    uploader = upload(run, place.url)
    counts = []
    for step in range(8, 14):
        copied_runs.save(run, step, size=64, keep=1)
        uploader.copy()
        names = set(place.names())
        assert {f"wheels/parts/{part[:2]}/{part}" for part in manifest(place).parts()} <= names
        counts.append(len(names))
    assert counts[2:] == [counts[2]] * 4


def test_what_a_killed_process_left_is_deleted_after_a_day(run, place, monkeypatch):
    """And not before: another may be about to name it."""
    uploader = upload(run, place.url)
    uploader.store.start_put("a" * 64, b"left").result()
    upload(run, place.url)
    assert f"wheels/parts/aa/{'a' * 64}" in place.names()
    monkeypatch.setattr("app.run_copy.upload.FORGOTTEN_SECONDS", -60.0)
    run.pipeline_config.write_text("new")
    upload(run, place.url)
    assert f"wheels/parts/aa/{'a' * 64}" not in place.names()


def test_parts_that_were_deleted_by_others_are_sent_again(run, place):
    """A rule of the bucket that deletes by age."""
    upload(run, place.url)
    place.delete(next(name for name in place.names() if "/parts/" in name))
    upload(run, place.url)
    wipe(run)
    assert copied_runs.restored(run, place.url)


def test_a_checkpoint_that_is_deleted_while_it_is_read_is_left_out(run, place, monkeypatch):
    """Retention takes the index first: its data may have been read by then."""
    copied_runs.save(run, 8)
    read = Uploader._copy_file

    def delete_then_read(self, path, is_late):
        if path.name.startswith("ckpt-7.data"):
            path.with_name("ckpt-7.index").unlink()
        return read(self, path, is_late)

    monkeypatch.setattr(Uploader, "_copy_file", delete_then_read)
    upload(run, place.url)
    assert not [file.path for file in manifest(place).files if file.path.startswith("ckpt-7.")]
    assert manifest(place).step == 8


def test_a_folder_that_is_replaced_while_it_is_read_stays_as_it_was_copied(run, place, monkeypatch):
    """The best checkpoint, by the evaluator."""
    uploader = upload(run, place.url)
    before = [file for file in manifest(place).files if file.path.startswith("best/")]
    run.best_card.write_text('{"step": 8}')
    read = Uploader._copy_file

    def replace_then_read(self, path, is_late):
        if path == run.best_card:
            run.best.rename(run.root / ".old")
            run.best.mkdir()
            run.best_card.write_text('{"step": 9}')
        return read(self, path, is_late)

    monkeypatch.setattr(Uploader, "_copy_file", replace_then_read)
    uploader.copy()
    assert [file for file in manifest(place).files if file.path.startswith("best/")] == before


def test_what_can_wait_waits_and_goes_on_later(run, place):
    """The newest checkpoint is copied before older ones and the records, which are there whole or not at all."""
    copied_runs.save(run, 8)
    uploader = Uploader(run, CopyStore(place.url, run.name))
    uploader.begin()
    assert not uploader.copy(is_late=lambda: True).complete
    first = {file.path for file in manifest(place).files}
    assert {"ckpt-8.index", "best/best.json", "metrics.jsonl"} <= first
    assert not {path for path in first if path.startswith(("records/", "ckpt-7"))}
    assert uploader.copy().complete
    assert {"records/train-00000", "ckpt-7.index"} <= {file.path for file in manifest(place).files}


def test_a_late_pass_names_what_was_copied_before(run, place):
    """The records are not forgotten because there was no time to look at them."""
    age(run)
    uploader = upload(run, place.url)
    copied_runs.save(run, 8)
    uploader.copy(is_late=lambda: True)
    assert {"records/train-00000", "ckpt-8.index"} <= {file.path for file in manifest(place).files}


def test_links_and_odd_names_are_not_copied(run, place, tmp_path):
    """A link leads out of the run; a name with a line end is none on other systems."""
    (tmp_path / "secret").write_text("secret")
    (run.root / "link").symlink_to(tmp_path / "secret")
    (run.root / "folder").symlink_to(tmp_path)
    (run.root / "a\nb").write_text("x")
    (run.root / b"a\xff".decode(errors="surrogateescape")).write_text("x")
    upload(run, place.url)
    assert {file.path for file in manifest(place).files} == set(copied_runs.files(run)) - {
        "link", "a\nb", b"a\xff".decode(errors="surrogateescape")
    }  # fmt: skip


def test_a_machine_that_was_given_up_does_not_write_over_the_one_that_went_on(run, place):
    """From the moment on in which that is restored; not by a new process either, however far it came."""
    stale = upload(run, place.url)
    run.root.rename(run.root.with_name("stale"))
    moved = type(run)(run.root.with_name("stale"))
    assert copied_runs.restored(run, place.url).step == 7
    stale.run = moved
    copied_runs.save(moved, 100)
    with pytest.raises(Overtaken):
        stale.copy()
    again = Uploader(moved, stale.store)
    with pytest.raises(Overtaken) as caught:
        again.begin()
    assert str(moved.root) in caught.value.remedy
    upload(run, place.url)
    assert manifest(place).step == 7


def test_an_older_run_of_the_same_name_is_not_copied_over_a_newer_one(run, place, tmp_path):
    """A newer one is."""
    upload(run, place.url)
    older, newer = write_run(tmp_path / "older", step=3), write_run(tmp_path / "newer", step=9)
    with pytest.raises(Overtaken):
        upload(older, place.url)
    upload(newer, place.url)
    assert manifest(place).step == 9


def test_a_manifest_whose_answer_was_lost_is_ours(run, place, monkeypatch):
    """It was written, and sent again: the second time it is not what is expected there."""
    uploader = upload(run, place.url)
    write = CopyStore.replace_manifest

    def write_twice(self, data, version):
        write(self, data, version)
        return write(self, data, version)

    monkeypatch.setattr(CopyStore, "replace_manifest", write_twice)
    run.pipeline_config.write_text("new")
    uploader.copy()
    monkeypatch.undo()
    run.pipeline_config.write_text("newer")
    uploader.copy()
    assert uploader.store.read_manifest(MOST_BYTES)


def test_a_state_without_a_checkpoint_does_not_tell_of_one(run, place):
    """The list of checkpoints may be written between the looks at both."""
    for path in run.root.glob("ckpt-*"):
        path.unlink()
    upload(run, place.url)
    assert "checkpoint" not in {file.path for file in manifest(place).files}


def test_a_copy_that_was_removed_is_made_anew(run, place):
    """As the refusal says, to go on from here; this pass fails, the next one sends all."""
    uploader = upload(run, place.url)
    for name in place.names():
        place.delete(name)
    run.pipeline_config.write_text("new")
    with refused(SettingsError, where="wheels") as caught:
        uploader.copy()
    assert not isinstance(caught.value, Overtaken)
    uploader.begin()
    uploader.copy()
    wipe(run)
    assert copied_runs.restored(run, place.url).step == 7


def test_a_folder_that_lost_its_checkpoints_does_not_take_the_copy_along(run, place):
    """A volume that was unmounted, a hand that deleted the wrong one."""
    uploader = upload(run, place.url)
    wipe(run)
    run.root.mkdir()
    with refused(SettingsError, where=str(run.root)):
        uploader.copy()
    wipe(run)
    assert copied_runs.restored(run, place.url).step == 7
