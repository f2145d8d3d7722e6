"""Studies of many runs: the energy audit, the calibration of a device profile, the matching of an antenna."""
