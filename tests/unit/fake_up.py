"""`up` as a process, with stand-ins for `prepare` and the services: `fake_up.py TRAINER STEPS PAUSE up FLAGS ...`."""

import sys
from pathlib import Path

import fake_services as fake

from app.jobs import prepare
from app.run.files import write_text
from app.services import trio


def main() -> int:
    """Runs the rest of the command line as the console script does."""
    program, steps, pause = getattr(fake, sys.argv[1]), *sys.argv[2:4]
    sys.argv[1:] = sys.argv[4:]

    def services(run, environ, **options):
        return [
            fake.service(run, "trainer", program, steps, pause),
            fake.service(run, "evaluator", fake.EVALUATOR),
            fake.service(run, "tensorboard", fake.FOREVER, "tb", essential=False),
        ]

    def prepared(settings, trains_here):
        write_text(Path(settings.models_dir) / settings.run / "pipeline.config", "")
        print("prepared", file=sys.stderr, flush=True)

    trio.make_services, prepare.run = services, prepared
    from entrypoint.__main__ import main as detbox

    return detbox()


if __name__ == "__main__":
    sys.exit(main())
