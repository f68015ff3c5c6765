"""`find_batch.py BYTES ARGUMENTS`: detbox with so much private memory (RLIMIT_DATA), which alone bounds its batch."""

import resource
import sys
from functools import partial

from app.pipeline import batch_search
from app.services import batch_size
from entrypoint.process import run

resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]),) * 2)
# How fast a batch is differs on a machine that does other things as well; that small ones fit is known.
batch_size.resolve = partial(batch_size.resolve, least_gain=None)
batch_search.search = partial(batch_search.search, start=4)
sys.exit(run(sys.argv[2:]))
