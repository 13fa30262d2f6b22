"""The arithmetic that transforms share: resampling, small matrices, JPEG, fields of particles."""
