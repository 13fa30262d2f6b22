"""What the outcome table says: pure functions of it."""
