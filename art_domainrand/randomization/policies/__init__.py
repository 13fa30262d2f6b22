"""Published policies of augmentation, as pipelines."""
