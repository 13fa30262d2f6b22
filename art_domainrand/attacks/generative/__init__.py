"""What a trained generator does in an attack."""
