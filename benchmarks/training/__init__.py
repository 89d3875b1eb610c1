"""Measures one trial: throughput, memory, gangs, overhead."""
