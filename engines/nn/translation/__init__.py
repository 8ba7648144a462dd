"""pix2pixHD: pictures from maps of labels."""
