"""The pages in a real browser: Chromium, from Debian's package or another. Skipped, with a word why, where there is none."""
