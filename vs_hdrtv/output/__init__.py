"""HDR files out, for the command line: encode a clip in segments, then put them and the source's other streams into a file."""
