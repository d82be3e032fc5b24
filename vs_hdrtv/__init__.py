"""SDR to HDR conversion by the networks of four papers, as composable filters."""
