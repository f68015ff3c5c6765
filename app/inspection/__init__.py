"""What is in a data set: statistics, duplicates, a contact sheet, the fit of a model's anchors."""
