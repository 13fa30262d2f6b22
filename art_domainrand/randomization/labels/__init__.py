"""Labels that follow the image, and labels that are mixed with it."""
