"""Gram matrices, features to compare, the network of many styles, optical flow."""
