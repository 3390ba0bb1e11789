"""What surrounds pyinfra, speeds it up and bounds it; no other package touches its insides."""
