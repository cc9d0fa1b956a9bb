"""The pretraining of the mini multilingual BERT on sentences of the same grammar."""
