"""What the strongest ensemble is made of: its budgets, which samples go on, and starts that seek other directions."""
