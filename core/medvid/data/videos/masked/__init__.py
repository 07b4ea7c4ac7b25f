"""Videos of which some frames have a label map: options, files, training examples and answers."""
