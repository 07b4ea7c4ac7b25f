"""Searching options: runs of one task with values that a search proposes, one after the other or several at once."""
