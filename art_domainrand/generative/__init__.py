"""Networks that are trained to make images: perturbations, and images of another domain."""
