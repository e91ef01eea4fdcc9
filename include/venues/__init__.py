"""One client for each venue. Each is usable alone and knows nothing of Ballast."""
