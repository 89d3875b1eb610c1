"""A trial: weak labels and a method in, predictions out."""
