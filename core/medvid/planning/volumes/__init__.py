"""Facts about a data set of segmented volumes, and the task that suits it."""
