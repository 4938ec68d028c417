"""What a stream promises: ODCS contracts compiled, linted, drafted; records judged; versions bridged by lenses."""
