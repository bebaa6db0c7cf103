"""Benchmarks: ``python -m benchmarks`` measures everything and writes the tables; see README.md."""
