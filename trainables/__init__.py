"""What one trial does: fine-tune an encoder under regularisers and measure how curved the minimum is."""
