"""From a video file, or a folder of images, to the regions of a face as arrays of gray."""
