"""What a backbone is conditioned on: fold classes and motifs."""
