"""The commands for before a run: a config, what a run would meet, what methods there are."""
