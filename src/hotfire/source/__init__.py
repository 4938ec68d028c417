"""Where records come from: files, and what knows how to recognise, open, cut and read them."""
