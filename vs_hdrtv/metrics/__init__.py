"""Measures of HDR pictures against a reference, and the table that compares methods (`vs-hdrtv evaluate`)."""
