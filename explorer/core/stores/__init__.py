"""Files of tensors, edits and sessions: read strictly, written whole."""
