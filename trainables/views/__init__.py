"""Views of a batch, one file each: usable alone as noise, or under a consistency loss."""
