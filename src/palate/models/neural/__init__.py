"""What the models that learn by gradients share: pieces of sequences, blocks, losses, and one loop that trains."""
