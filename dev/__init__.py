"""`identity dev`: PostgreSQL from a wheel, every program of the product, and the demo."""
