"""Simulates a case on all ranks.

python run_case.py CASE FOLDER
"""

import sys

from mpi4py import MPI

from ablationsim.case import Case
from ablationsim.parallel import Ranks
from ablationsim.simulate import simulate

simulate(Case.load(sys.argv[1]), sys.argv[2], comm=Ranks(MPI.COMM_WORLD))
