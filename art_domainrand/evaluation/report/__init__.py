"""The page that an evaluation ends in, and its other forms."""
