"""Facts about a data set of labelled videos, and the task that suits it."""
