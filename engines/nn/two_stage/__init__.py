"""Parts of the R-CNN line: proposals, regions, pyramids and their heads."""
