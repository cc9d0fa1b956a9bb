"""The pretraining of the mini multilingual BERT on sentences of the bundled data's grammar."""
