"""Lets the tests here take the makers of input of the other rooms."""

import sys
from pathlib import Path

UNIT = Path(__file__).parents[1]
for folder in (UNIT.parent, UNIT, UNIT / "dataset/formats", UNIT / "pipeline/zoo"):
    sys.path.append(str(folder))
