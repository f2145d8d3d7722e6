"""Finite elements: geometry integrated once, coefficient-to-matrix assembly, linear solvers, time stepping."""
