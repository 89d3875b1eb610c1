"""How well the time left is predicted while a run is under way."""
