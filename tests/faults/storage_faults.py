"""What is done to the file system that a run lies on: filled, or made read-only as by an error of the disk.

Needs the right to mount: a file system of its own is made for the run.
"""

import contextlib
import ctypes
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import oracle
from evaluator_faults import EvaluatorChain
from lane import Lane
from processes import Process
from trainer_chain import START_SECONDS, TrainerChain

MEGABYTES = 64
STEPS = 240
FULL_SECONDS = 60.0
"""Within which a process that can't write ends: it writes with every step."""
STARTING = 0.3
WORKING_SECONDS = 2.0


class Disk:
    """A small file system on a file, mounted where the runs of a lane are."""

    def __init__(self, folder: Path):
        self.folder, self.image = folder, folder.with_name("disk.image")
        self.filler = folder / ".filler"

    def __enter__(self) -> "Disk":
        # Mounts of this process and its children alone, which go with them however they end.
        clone_newns = 0x00020000  # linux/sched.h
        if ctypes.CDLL(None, use_errno=True).unshare(clone_newns):
            raise OSError(ctypes.get_errno(), "a disk that fails needs the right to mount: run it as root")
        _run("mount", "--make-rprivate", "/")
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(MEGABYTES << 20)
        _run("mkfs.ext4", "-q", "-m", "0", str(self.image))
        self.mount()
        return self

    def __exit__(self, *unused: object) -> None:
        _run("umount", "--lazy", str(self.folder))
        self.image.unlink()

    def mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.folder))

    def repair(self) -> None:
        """What is done after an error of the disk: unmounted, checked and mounted again."""
        _run("umount", str(self.folder))
        done = subprocess.run(["fsck.ext4", "-p", str(self.image)], capture_output=True, check=False)
        if done.returncode > 1:
            raise RuntimeError(f"fsck: {done.stdout!r}")
        self.mount()

    def fill(self, left: int) -> None:
        """Leaves so many bytes."""
        there = os.statvfs(self.folder)
        size = there.f_bavail * there.f_frsize - left
        with open(self.filler, "wb") as file, contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
            if not left:
                while True:
                    os.write(file.fileno(), b"\0" * 4096)

    def free(self) -> None:
        """Makes room again."""
        self.filler.unlink()

    def fail(self) -> None:
        """An error of the disk, by which the kernel makes it read-only."""
        device = _run("findmnt", "--noheadings", "--output=SOURCE", "--target", str(self.folder)).strip()
        Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("1")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


@contextlib.contextmanager
def _harmed(disk: Disk, way: str, random: Random) -> Iterator[None]:
    """The disk full or read-only while the block runs."""
    if way == "full":
        disk.fill(random.choice([0, random.randrange(4096), random.randrange(3_000_000)]))
    else:
        disk.fail()
    try:
        yield
    finally:
        disk.free() if way == "full" else disk.repair()


def harm_trainers(lane: Lane, way: str) -> None:
    """A disk that is full or read-only, at a random moment of a trainer; then it is put right, and training goes on."""
    with Disk(lane.place.root / "disk") as disk:
        lane.place.use_models(disk.folder)
        chain: TrainerChain | None = None
        for number in lane.numbers:
            random, forked, struck = lane.random(number), lane.is_forked(number), False
            while not struck:
                chain = chain or TrainerChain(lane.place, STEPS)
                life = chain.start(forked)
                if random.random() < STARTING:
                    moment = life.started + random.uniform(0, chain.first_step_seconds)
                else:
                    chain.await_step(life)
                    moment = time.time() + random.uniform(0, WORKING_SECONDS)
                life.watch(lambda moment=moment: time.time() >= moment, START_SECONDS)
                if struck := life.code is None:
                    with _harmed(disk, way, random):
                        problems = _end(life)
                else:
                    chain = lane.finish(chain, life)
            injection, moment = lane.injection(number, forked=forked), time.time()
            injection.phase = "step" if oracle.made_steps(life.text()) else "start"
            chain.problems += problems
            chain = lane.bury(chain, life, injection, moment)
        if chain:
            lane.flush(chain, chain.settle())


def harm_evaluators(lane: Lane, way: str) -> None:
    """The same to evaluators."""
    with Disk(lane.place.root / "disk") as disk:
        lane.place.use_models(disk.folder)
        chain: EvaluatorChain | None = None
        for number in lane.numbers:
            random, injection = lane.random(number), lane.injection(number, forked=lane.is_forked(number))
            while not injection.phase:
                chain = chain or EvaluatorChain(lane.place)
                life = chain.start(injection.forked)
                chain.await_first(life)
                time.sleep(random.uniform(0, WORKING_SECONDS))
                if life.code is None:
                    with _harmed(disk, way, random):
                        chain.problems += _end(life)
                    injection.phase = "evaluate"
                else:
                    chain = chain.finish(lane, life)
            moment = time.time()
            lane.write_all(chain.bury(life), [])
            if chain.problems:
                lane.write(injection, chain.problems)
                chain = None
            else:
                chain.waiting.append((injection, moment))
        if chain and chain.waiting:
            chain.settle(lane)


def _end(life: Process) -> list[str]:
    """What is wrong with how a process ends that can't write; one that goes on is stopped."""
    if not life.watch(lambda: False, FULL_SECONDS) and life.code is None:
        life.send(15)
    code = life.wait(FULL_SECONDS)
    last = (life.text().splitlines() or [""])[-1]
    refused = code == 3 and re.match(
        r"detbox: error: .*(no space left|read-only|can't be written)", last, re.IGNORECASE
    )
    return [] if code in (0, 143) or refused else [f"ended with {code}, last line {last!r}"]
