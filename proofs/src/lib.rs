//! Models that drive the production cores through every interleaving within small bounds.
