"""Ballast killed, doubled and delayed on purpose: the money still moves once and arrives."""
