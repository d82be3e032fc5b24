"""Key frames (VITM-TC): detail that a frame has lost to over-exposure, from other frames of its scene. Needs no torch."""
