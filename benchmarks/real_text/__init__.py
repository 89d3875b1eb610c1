"""Published methods and a search on real text: what each recovers of the gap."""
