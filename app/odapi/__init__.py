"""The one door to the Object Detection API: nothing outside this package imports `object_detection`."""
