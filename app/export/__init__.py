"""What a trained model is turned into: files for other programs, and detections on images."""
