"""The past decided again: single runs of a backfill, and the report of what would have become of it all."""
