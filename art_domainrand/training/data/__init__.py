"""The batches to train on: where images come from and what is made of them."""
