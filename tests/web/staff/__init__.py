"""The staff's pages: what each role sees in a browser, and what nobody gets who should not."""
