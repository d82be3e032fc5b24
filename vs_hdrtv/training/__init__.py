"""Training: scenes and their split, SDR operators, SDR/HDR pairs, recipes and the trainer (extra `train`)."""
