"""`signalbox init`: questions are data, answers are checked at once, files are written last and whole."""
