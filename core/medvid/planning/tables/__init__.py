"""Facts about a data set of images or volumes with answers of their own, and the task that suits it."""
