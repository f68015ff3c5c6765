"""Every reader of what another process or a hand may write, with input that it takes: one table."""

import contextlib
import dataclasses
import gzip
import io
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from unittest import mock

import event_files
import numpy as np
import run_readers
import written_lines
import written_sets
import written_tools
from archives import FILES, NAME, member, pack, packed_model
from engine import Target
from mutations import WORDS
from PIL import Image
from tf1_configs import FASTER_RCNN, SSD
from videos import write_video
from written_sets import WrittenImage

from app.dataset import card as cards
from app.dataset import example, image_file, records
from app.dataset.formats import datumaro
from app.dataset.preparation import prepare
from app.detection.detections import Detections
from app.detection.resolver import ResolvedDetector, _given_names
from app.detection.video import UnusableVideo, VideoReader
from app.environment import as_environment, load
from app.evaluation.promotion import ModelVersions, describe_serving
from app.export.probe_images import ProbeImages
from app.inspection import dataset_view
from app.jobs import checks, detect, inspect, logs, migrate
from app.jobs import prepare as prepare_job
from app.pipeline import (
    batch_report,
    batch_size_record,
    build,
    checkpoint_index,
    fine_tune_checks,
    origin,
    run_config,
    trial_report,
)
from app.pipeline.batch_search import Try
from app.pipeline.batch_size_record import BatchSize
from app.pipeline.zoo import catalogue, store
from app.protos import label_map, pipeline_config
from app.run import lock, provenance
from app.run.directory import Run
from app.run_copy.restore import restore
from app.run_copy.store import CopyStore
from app.run_copy.upload import Uploader
from app.services import run_table, up_process
from app.settings import Settings
from app.training import resume
from entrypoint.results import present

SET_WRITERS = written_sets.WRITERS | written_tools.TOOL_WRITERS | written_lines.LINE_WRITERS
IMAGES = [
    WrittenImage("Cat_1", 24, 16, (("Cat", (1, 1, 9, 9)), ("Dog", (10, 2, 20, 15)))),
    WrittenImage("Cat_2", 20, 16, (("Dog", (2, 1, 8, 14)),)),
    WrittenImage("Dog_3", 16, 20, (("Cat", (3, 1, 12, 9)),)),
]


def show(result: object) -> None:
    """As it would be printed."""
    for as_json in (False, True):
        present(result, as_json=as_json).encode("utf-8")


def of_run(name: str, read: Callable[[Run], object], *more: str) -> Target:
    """A reader of the files of a whole run."""
    files = tuple(os.path.normpath(f"models/old/{file}") for file in (*run_readers.FILES, *more))
    return Target(
        name, lambda folder: run_readers.write_whole(folder / "models"),
        lambda folder: read(Run(folder / "models/old")), files, writes=("models",),
    )  # fmt: skip


def up_made(folder: Path) -> None:
    run_readers.write_whole(folder / "models")
    run = Run(folder / "models/old")
    with up_process.hold_up(run, background=True) as change:
        change(tensorboard="http://localhost:6006/")
        data = run.status("up").read_bytes()
    run.status("up").write_bytes(data)
    run.log("trainer").parent.mkdir(exist_ok=True)
    run.log("trainer").write_text("step 1\nstep 2 \x1b[31m\n")


def up_read(folder: Path) -> None:
    run = Run(folder / "models/old")

    def kill(pid: int, number: int) -> None:
        assert pid > 0, f"signal {number} to {pid}"
        pid.to_bytes(4, "little", signed=True)  # As long as a kernel takes them.
        raise ProcessLookupError

    with lock.hold_lock(run.service_lock("up"), None):
        up = up_process.find_up(run)
        assert up is not None
        up.describe(1.8e9).encode()
        show(run_table.read_table(run.root.parent, "old", run_readers.MAP))
        with mock.patch("os.kill", kill):
            up_process.send_signal(up, 15)
    with contextlib.redirect_stdout(io.StringIO()):
        logs.run(run_readers.settings_for(run))


def read_serving(run: Run) -> None:
    versions = ModelVersions(run.root.parent / "serving/old")
    versions.history()
    versions.next()
    versions.was_withdrawn("old", 80, 0.1)
    versions.serves("old", 80, 0.1)
    show(describe_serving(run))


def read_resume(run: Run) -> None:
    provenance.read_given(run)
    resume.refuse_lost_progress(run)
    run_config.has_changed(run)
    resume.find_resume(run, lambda prefix: None)


def read_config_of_run(run: Run) -> None:
    pipeline_config.read_pipeline(run.pipeline_config)
    checks.names_of(run)
    label_map.read_class_names(run.label_map)


def trial_made(folder: Path) -> None:
    failure = trial_report.Failure("x", "model", True)
    trial_report.write_report(folder / "report.json", trial_report.TrialReport(trial_report.Stage.MODEL, True, failure))


def batch_made(folder: Path) -> None:
    tries = (Try(4, True, 2 * 10**9, 3.25), Try(8, False, why="too much"))
    batch_size_record.write(Run(folder), BatchSize(4, "8 too much", "2 GB", "a GPU", "key", tries))
    batch_report.write_batch_report(folder / "report.json", batch_report.BatchReport("step 1 of 5", (9.0, 1.5), 5, 7))


def batch_read(folder: Path) -> None:
    if found := batch_size_record.read(Run(folder)):
        found.table()
    if report := batch_report.read_batch_report(folder / "report.json"):
        sum(report.seconds)


@mock.patch.object(datumaro, "is_installed", lambda: False)  # It takes seconds over what it does not know either.
def read_set(folder: Path) -> None:
    target = folder / "out/records"
    card = prepare(folder / "set", target, masked=True, workers=1)
    for row in records.read(sorted(target.glob("*.tfrecord"))):
        for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
            pairs = zip(row[f"image/object/bbox/{low}"], row[f"image/object/bbox/{high}"], strict=True)
            assert all(0 <= a < b <= 1 for a, b in pairs)
        assert all(1 <= label <= len(card.classes) for label in row["image/object/class/label"])
    show(card)


def set_target(name: str) -> Target:
    """A data set in the format `name`: annotations, images and names are changed."""

    def make(folder: Path) -> None:
        SET_WRITERS[name](folder / "set", IMAGES)
        if name == "voc":
            (folder / "set/ImageSets/Main").mkdir(parents=True)
            (folder / "set/ImageSets/Main/train.txt").write_text("Cat_1\nDog_3\n")
            (folder / "set/ImageSets/Main/val.txt").write_text("Cat_2\n")
        if name == "yolo":
            (folder / "set/data.yaml").write_text(
                "path: .\ntrain: train.txt\nval: [valid.txt]\nnc: 2\nnames:\n  0: Cat\n  1: 'Dog'\n"
            )
            (folder / "set/train.txt").write_text("./images/Cat_1.png\nimages/Dog_3.png\n")
            (folder / "set/valid.txt").write_text("images/Cat_2.png\n")
        if name == "tfrecord":
            (folder / "set/label_map.pbtxt").write_text(label_map.print_label_map({1: "Cat", 2: "Dog"}))

    return Target(f"set-{name}", make, read_set, ("set/**/*",), names=True)


def pet_made(folder: Path) -> None:
    written_sets.voc(folder / "voc", IMAGES)
    notes = folder / "set/annotations"
    notes.mkdir(parents=True)
    (folder / "voc/JPEGImages").rename(folder / "set/images")
    for path in (folder / "set/images").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    (folder / "voc/Annotations").rename(notes / "xmls")
    shutil.rmtree(folder / "voc")
    rows = [f"{image.stem} {1 + (image.stem[0] == 'D')} 1 1" for image in IMAGES]
    (notes / "list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n" + "\n".join(rows))
    (notes / "trainval.txt").write_text("\n".join(rows))


def inspect_made(folder: Path) -> None:
    written_sets.coco(folder / "set", IMAGES)


@mock.patch.object(datumaro, "is_installed", lambda: False)
def inspect_read(folder: Path) -> None:
    show(inspect.run(Settings(models_dir=folder / "out", dataset=str(folder / "set"), output=str(folder / "out/page"))))


def records_made(folder: Path) -> None:
    written_sets.coco(folder / "set", IMAGES)
    prepare(folder / "set", folder / "models/r/records", workers=1, num_shards=1)
    shutil.rmtree(folder / "set")


def records_read(folder: Path) -> None:
    run = Run(folder / "models/r")
    for path in sorted(run.records.glob("*.tfrecord")):
        if not path.is_dir():
            offset, _ = next(records.scan(path), (0, b""))
            records.read_at(path, offset)
    card = cards.read(run.records)
    if card is not None:
        probes = ProbeImages(run, "")
        probes.probes()
        list(probes.examples())
        view = dataset_view.view_of_records(run.records, card)
        names = [one.name for one in view.summaries(lambda: None)]
        list(view.pixels(names))


@mock.patch.object(datumaro, "is_installed", lambda: False)
def records_inspected(folder: Path) -> None:
    records = folder / "models/r/records"
    show(inspect.run(Settings(models_dir=folder / "out", dataset=str(records), output=str(folder / "out/page"))))


def features_changed(random: Random, folder: Path) -> str:
    """Examples whose checksums are right, and whose features are of other kinds, lengths and values."""
    paths = sorted((folder / "models/r/records").glob("*.tfrecord"))
    told = []
    for path in paths:
        rows = [example.decode(data) for data in records.read_raw(path)]
        with open(path, "wb") as file:
            for row in rows:
                for key in random.sample(sorted(row), random.choice((0, 1, 1, 2))):
                    row[key] = random.choice(VALUES_OF_FEATURES)(random)
                    told.append(f"{key}: {row[key]}"[:300])
                kinds = {key: (kind_of(values), values) for key, values in row.items() if random.random() > 0.02}
                records.append(file, example.encode(kinds))
    return "; ".join(told)


VALUES_OF_FEATURES = (
    lambda random: [],
    lambda random: [b"\xff\x1b[31m\n", b"Cat"][: random.randint(1, 2)],
    lambda random: random.choices((-(2**63), -1, 0, 1, 2, 3, 2**31, 2**63 - 1), k=random.randint(1, 4)),
    lambda random: random.choices((0.0, 0.5, 1.0, -1.0, float("nan"), float("inf"), 1e30), k=random.randint(1, 4)),
)  # fmt: skip


def kind_of(values: list) -> str:
    known = {bytes: "bytes_list", float: "float_list"}
    return known.get(type(values[0]), "int64_list") if values else "float_list"


def members_changed(random: Random, folder: Path) -> str:
    """An archive with entries of every type and name."""
    extra = []
    for _ in range(random.randint(1, 3)):
        name = random.choice((f"{NAME}/x", f"{NAME}/pipeline.config", f"{NAME}/checkpoint", NAME, *WORDS))
        kind = random.choice((*b"0123456789xgLKSVDA\0", *b"05"))
        fields = {
            "type": bytes([kind]),
            "linkname": random.choice(("/etc/passwd", "..", f"{NAME}/x", "x")),
            "mode": 0o7777,
        }
        fields |= {"pax_headers": random.choice(({}, {"path": random.choice(WORDS)}, {"size": random.choice(WORDS)}))}
        with contextlib.suppress(ValueError):
            extra.append(member(name, b"x" * random.choice((0, 3, 600)), **fields))
    sound = [member(f"{NAME}/{path}", data) for path, data in FILES.items()]
    for at in sorted(random.choices(range(len(sound)), k=len(extra))):
        sound.insert(at, extra.pop())
    with contextlib.suppress(ValueError, UnicodeError):
        (folder / "mirror" / f"{NAME}.tar.gz").write_bytes(pack(*sound))
    return str([(info.name, info.type, info.linkname, info.pax_headers) for info, _ in sound])


def config_made(folder: Path) -> None:
    for name in ("tiny", *[name for name in origin.presets() if name.startswith(("faster", "centernet"))][:2]):
        (folder / f"{name}.config").write_text(origin.preset_text(name))


def config_read(folder: Path) -> None:
    for path in sorted(folder.glob("*.config")):
        found = origin.find_origin(str(path), "none")
        prepare_job.check_model(Settings(model=str(path)), found, resuming=True)
        made = build.build(
            prepare_job.build_request(
                Settings(), num_classes=2, label_map_path="/a", train_records="/b", eval_records="/c",
                num_train_images=2, max_boxes_per_image=3,
            ),
            found,
        )  # fmt: skip
        show(made.notes)


def override_made(folder: Path) -> None:
    (folder / "override").write_text("model { ssd { num_classes: 1 } }\ntrain_config { batch_size: 2 }")


def override_read(folder: Path) -> None:
    text = (folder / "override").read_bytes().decode("utf-8", "surrogateescape")
    found = origin.find_origin("tiny", "")
    prepare_job.check_model(Settings(config_override=text), found, resuming=True)


def migrate_made(folder: Path) -> None:
    (folder / "a.config").write_text(FASTER_RCNN)
    (folder / "b.config").write_text(SSD)


def migrate_read(folder: Path) -> None:
    for path in sorted(folder.glob("*.config")):
        show(migrate.run(Settings(input=f"{path}\nsave_checkpoints_steps=9", output=str(folder / "out" / path.stem))))


def labels_made(folder: Path) -> None:
    text = label_map.print_label_map({1: "Cat", 2: "Dog, big"})
    (folder / "a.pbtxt").write_text(text + 'item { id: 3 name: "/m/01" display_name: "Ampel" }\n')
    (folder / "b.pbtxt").write_text('[{"id": 1, "name": "Cat"}, {"id": 2, "name": "Dog"}]')
    (folder / "c.pbtxt").write_text("item {\n  id: 1\n  name: “Cat”\n}\nitem {\n  id: 2\n  name: Dog big\n}\n")


def labels_read(folder: Path) -> None:
    for path in sorted(folder.glob("*.pbtxt")):
        show(list(_given_names(str(path)).values()))


def own_labels_made(folder: Path) -> None:
    (folder / "label_map.pbtxt").write_text(label_map.print_label_map({1: "Cat", 2: "Dog"}))


def own_labels_read(folder: Path) -> None:
    checks.names_of(Run(folder))


DATA = Path(os.environ.get("DETBOX_TEST_DATA") or Path(__file__).parents[4] / "shared/data")
ZOO = DATA / "pretrained/ssd_mobilenet_v2_fpnlite_320x320_hands"


def checkpoint_made(folder: Path) -> None:
    (folder / "zoo/checkpoint").mkdir(parents=True)
    for name in ("pipeline.config", "checkpoint/checkpoint", "checkpoint/ckpt-0.index"):
        (folder / "zoo" / name).write_bytes((ZOO / name).read_bytes())
    (folder / "zoo/checkpoint/ckpt-0.data-00000-of-00001").write_bytes(b"x")
    (folder / "zoo/zoo.json").write_text('{"name": "a", "url": "b", "sha256": "c"}')


def checkpoint_read(folder: Path) -> None:
    zoo = folder / "zoo"
    checkpoint_index.read(str(zoo / "checkpoint/ckpt-0"))
    store.record_of(str(zoo / "checkpoint/ckpt-0"))
    settings = Settings(fine_tune_checkpoint=str(zoo))
    found = origin.find_origin("", str(zoo))
    prepare_job.check_model(settings, found, resuming=False)
    found.config.train_config.fine_tune_checkpoint = str(zoo / "checkpoint/ckpt-0")
    fine_tune_checks.notes(found.config)


def dotenv_made(folder: Path) -> None:
    (folder / ".env").write_text(
        "# a\nDETBOX_BATCH_SIZE=8\nexport DETBOX_DATASET='/data'\nOTHER=\"a\\nb\"\nDETBOX_MODEL=${OTHER}\n"
        "DETBOX_EARLY_STOPPING_PATIENCE=3\nDETBOX_PROMOTE_THRESHOLD=0.5\n"
    )


def zoo_made(folder: Path) -> None:
    (folder / "mirror").mkdir()
    (folder / "mirror" / f"{NAME}.tar.gz").write_bytes(packed_model())
    (folder / "zoo").mkdir()
    (folder / "zoo/SHA256SUMS").write_text(f"{'0' * 64}  other.tar.gz\n")


def tar_made(folder: Path) -> None:
    """The archive before it is packed: most changes to what is packed are no archive any more."""
    (folder / "model.tar").write_bytes(gzip.decompress(packed_model()))


def tar_read(folder: Path) -> None:
    (folder / "mirror").mkdir()
    data = gzip.compress((folder / "model.tar").read_bytes(), 1)
    (folder / "mirror" / f"{NAME}.tar.gz").write_bytes(data)
    zoo_read(folder)


def zoo_read(folder: Path) -> None:
    stored = store.fetch(catalogue.get(NAME), folder / "zoo", str(folder / "mirror"))
    store.record_of(str(stored.folder / "checkpoint/ckpt-0"))


FORMATS = ("jpg", "png", "gif", "bmp", "tiff", "webp", "ppm", "tga", "ico", "jp2", "avif", "pcx", "sgi", "dds", "qoi")


def images_made(folder: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in FORMATS:
        with contextlib.suppress(KeyError, OSError, ValueError):
            noise.save(folder / f"a.{suffix}", **({"exif": exif} if suffix in ("jpg", "png", "webp") else {}))
    noise.convert("I;16").save(folder / "b.png")
    noise.convert("P").save(folder / "c.png", transparency=0)
    noise.convert("CMYK").save(folder / "d.jpg")
    noise.convert("L").save(folder / "e.jpg", progressive=True)
    noise.convert("1").save(folder / "f.tiff", compression="group4")
    noise.save(folder / "g.tiff", compression="tiff_lzw")


def images_read(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        for read in (image_file.store_image, image_file.read_pixels, image_file.probe_image):
            try:
                read(path, path.name)
            except image_file.UnusableImage as unusable:
                show(unusable.fault)


def probes_read(folder: Path) -> None:
    ProbeImages(None, str(folder)).probes()


def video_made(folder: Path) -> None:
    write_video(folder / "a.mp4", frames=3)
    write_video(folder / "b.avi", frames=3, codec="mpeg4")
    write_video(folder / "c.mkv", frames=3)


def video_read(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        try:
            with VideoReader(path) as video:
                for _ in itertools.islice(video, 20):
                    pass
        except UnusableVideo as error:
            str(error).encode("utf-8", "backslashreplace")


class Detector:
    """Finds one box on each image."""

    form = "test"

    def detect(self, images: list[np.ndarray]) -> list[Detections]:
        boxes = np.array([[0.1, 0.1, 0.8, 0.8]], np.float32)
        return [Detections(boxes, np.array([0.9], np.float32), np.array([1])) for _ in images]


def detect_made(folder: Path) -> None:
    written_sets.write_images(folder / "pics/a", IMAGES[:2])
    write_video(folder / "pics/c.mp4", frames=2)
    (folder / "map.pbtxt").write_text(label_map.print_label_map({1: "Cat"}))
    (folder / "out").mkdir()


def detect_read(folder: Path) -> None:
    names = _given_names(str(folder / "map.pbtxt"))
    resolved = ResolvedDetector(Detector(), "test", names, {})
    with mock.patch.object(detect, "_resolve", lambda settings, run: resolved):
        show(detect.run(Settings(input=str(folder / "pics"), output=str(folder / "out/found"), detector="x")))


def dotenv_read(folder: Path) -> None:
    settings = load({}, {}, folder / ".env")
    show(dataclasses.asdict(settings))
    assert not any("\0" in value for value in as_environment(settings, {}).values())


def copy_made(folder: Path) -> None:
    run_readers.write_whole(folder / "models")
    run = Run(folder / "models/old")
    uploader = Uploader(run, CopyStore(str(folder / "copies"), run.name))
    uploader.begin()
    uploader.copy()
    shutil.rmtree(folder / "models")


def copy_read(folder: Path) -> None:
    run = Run(folder / "models/old")
    if restore(run, CopyStore(str(folder / "copies"), run.name)):
        show(run_table.read_table(run.root.parent, "old", run_readers.MAP))


TARGETS: tuple[Target, ...] = (
    *(of_run(f"run-{reader.__name__}", reader) for reader in run_readers.READERS),
    of_run("run-serving", read_serving),
    of_run("run-resume", read_resume, "checkpoint", "pipeline.config"),
    of_run("run-config", read_config_of_run, "pipeline.config", "label_map.pbtxt"),
    Target("run-up", up_made, up_read, ("models/old/status/up.json", "models/old/logs/*"), writes=("models",)),
    Target("run-copy", copy_made, copy_read, ("copies/old/*.json",), writes=("models", "copies")),
    Target("run-copy-parts", copy_made, copy_read, ("copies/**/*",), writes=("models", "copies"), names=True),
    Target("run-batch", batch_made, batch_read),
    Target("run-trial", trial_made, lambda folder: trial_report.read_report(folder / "report.json")),
    *map(set_target, SET_WRITERS),
    Target("set-pet", pet_made, read_set, ("set/**/*",), names=True),
    Target("inspect-set", inspect_made, inspect_read, ("set/**/*",), names=True),
    Target("records", records_made, records_read, ("models/r/records/*",), names=True),
    Target("inspect-records", records_made, records_inspected, ("models/r/records/*",)),
    Target("records-features", records_made, records_read, damage=features_changed),
    Target("inspect-records-features", records_made, records_inspected, damage=features_changed),
    Target("config", config_made, config_read, ("*.config",), alone=True),
    Target("config-override", override_made, override_read),
    Target("config-migrate", migrate_made, migrate_read, ("*.config",), alone=True),
    Target("label-map", labels_made, labels_read, alone=True),
    Target("label-map-own", own_labels_made, own_labels_read),
    *[Target("fine-tune-checkpoint", checkpoint_made, checkpoint_read, ("zoo/**/*",))] * ZOO.is_dir(),
    Target("dotenv", dotenv_made, dotenv_read, (".env",)),
    Target("archive", zoo_made, zoo_read, ("mirror/*", "zoo/*"), writes=("zoo",)),
    Target("archive-unpacked", tar_made, tar_read, ("model.tar",), writes=("zoo", "mirror")),
    Target("archive-entries", zoo_made, zoo_read, writes=("zoo",), damage=members_changed),
    Target("images", images_made, images_read, alone=True),
    Target("images-probes", images_made, probes_read, alone=True),
    Target("videos", video_made, video_read, alone=True),
    Target("events-stats", event_files.written, event_files.stats_read, ("log/**/*",), names=True),
    Target("events-compact", event_files.written, event_files.compact_read, ("log/**/*",), names=True),
    Target("events-stats-values", event_files.written, event_files.stats_read, damage=event_files.events_changed),
    Target("events-compact-values", event_files.written, event_files.compact_read, damage=event_files.events_changed),
    Target("events-compact-in-place", event_files.written, event_files.cadence_read, writes=("log",), names=True),
    Target("detect", detect_made, detect_read, ("pics/**/*", "map.pbtxt"), names=True),
)  # fmt: skip
