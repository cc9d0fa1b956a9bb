"""Text to ids: the tokenizer's own encoding, and sampled segmentations for WordPiece, Unigram and BPE vocabularies."""
