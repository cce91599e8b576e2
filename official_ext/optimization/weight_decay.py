"""Which variables are not decayed."""

# Biases, LayerNorm, LayerScale, position embedding and class token. Matched
# anywhere in the name: a copy on the second replica is '.../bias/replica_1:0'.
NOT_DECAYED = (
    '/bias', '/gamma', '/beta', '/layerscale_gamma', '/pos_embedding', '/cls')
