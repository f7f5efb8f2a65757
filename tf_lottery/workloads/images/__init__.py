"""Images for the experiments, through TensorFlow Datasets."""
