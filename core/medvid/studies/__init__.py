"""Studies: several runs of one task that are read together."""
