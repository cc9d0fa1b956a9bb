"""Text to ids: the tokenizer's own encoding, and sampled segmentations for WordPiece and Unigram vocabularies."""
