"""Colour science of the project: one code over the array namespace, for numpy and torch."""
