"""What each section of a page shows, as plain data; one with nothing to show is None."""
