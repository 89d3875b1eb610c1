"""The same search by Ray Tune as its documentation suggests, side by side."""
