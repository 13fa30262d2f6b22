"""The transforms, one family a file, and the table of all of them."""
