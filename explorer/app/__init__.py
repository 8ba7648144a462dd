"""The window and what it is made of: actions, lists, editors, cards, the runner; no torch here."""
