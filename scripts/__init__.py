"""Scripts that make what lies in assets/."""
