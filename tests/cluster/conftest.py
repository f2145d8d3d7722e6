"""A Slurm of their own for tests of jobs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.local_slurm import LocalSlurm


@pytest.fixture(scope="session")
def slurm() -> Iterator[LocalSlurm]:
    """A private cluster of one node with four cores (which need not exist)."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    cluster = LocalSlurm(folder)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        shutil.rmtree(folder)
