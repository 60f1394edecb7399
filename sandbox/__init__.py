"""A local outside world for demo, tests and bench. Imports nothing of the product."""
