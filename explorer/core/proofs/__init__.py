"""What was shown, measured once more by other means."""
