"""Wire formats that several vendors share."""
