"""Customer segmentation: which customers are alike, and what to do about each kind."""
