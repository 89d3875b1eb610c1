"""A trial: weak labels and a method in, predictions out."""

import gc

# Importing torch and transformers makes a million objects that stay. At Python's threshold of 700, looking
# through them for garbage took a sixth of a worker's start.
gc.set_threshold(50_000, 10, 10)
