"""Ten thousand trials through Ray Tune: the driver's CPU, memory and asks."""
