"""How an evaluation is kept in a folder: its manifest, the blocks of its table, what it cost."""
