"""Benchmarks: every figure in docs/measured.md is printed by one of them."""
