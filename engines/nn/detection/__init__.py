"""What all detectors share: boxes, suppression, matching, scenes, scores, COCO's files."""
