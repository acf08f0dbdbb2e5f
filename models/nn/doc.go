// Package nn is the layers, losses and optimisers that the project's networks
// are made of. Every layer has a forward and an explicit backward pass over
// the kernels of models/linalg; there is no tape.
//
// A layer keeps what its backward pass needs and belongs to one goroutine.
// Training in parallel gives each worker a replica: layers of its own, made by
// the same constructor, that share the weights and have gradients of their own
// (see Share and Gather). A step depends on the seed and the number of
// replicas, never on how goroutines interleave.
//
// Everything is generic over the float type: float32 runs on the kernels, and
// the same code in float64 is the twin that the gradients are checked with.
//
// It imports models/linalg and, for checkpoints, models/release/safetensors.
// Start reading at Param and Dense, then GRU, Attention and Catalogue.
package nn
