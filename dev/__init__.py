"""What `identity dev` runs: PostgreSQL from a wheel, every program of the product, and the demonstration."""
