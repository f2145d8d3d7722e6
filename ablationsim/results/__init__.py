"""What a run leaves behind: the run folder, its checkpoints, and `Result`, which reads it."""

from ablationsim.results.result import Result

__all__ = ["Result"]
