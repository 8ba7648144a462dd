"""Parts of YOLO, SSD and NanoDet: grids, priors, trees of words, Darknet's files."""
