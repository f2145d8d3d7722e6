"""Studies: many runs of one case with some of its keys varied, on this machine or on a cluster."""
