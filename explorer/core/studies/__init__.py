"""What is asked of a network beyond one run: what excites a unit, and how passes differ."""
