"""Facts about a data set of segmented images, and the task that suits it."""
