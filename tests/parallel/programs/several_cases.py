"""Simulates cases one after the other on all ranks, each into a folder named after it.

python several_cases.py FOLDER CASE...
"""

import sys
from pathlib import Path

from mpi4py import MPI

from ablationsim.case import Case
from ablationsim.parallel import Ranks
from ablationsim.simulate import simulate

for path in map(Path, sys.argv[2:]):
    simulate(Case.load(path), Path(sys.argv[1]) / path.stem, comm=Ranks(MPI.COMM_WORLD))
