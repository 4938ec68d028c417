"""The web server: rows come in by HTTP, and what is known of the engine goes out. The only asynchronous part."""
