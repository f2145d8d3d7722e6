"""Physics: electric conduction, bioheat, tissue damage."""
