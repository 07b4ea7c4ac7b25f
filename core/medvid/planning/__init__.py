"""Looking at a data set and writing the task that suits it."""
