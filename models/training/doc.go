// Package training is the loop that all networks learn by: epochs of batches
// over replicas, a rate that warms up and falls, clipped gradients, a judgement
// on validation after each epoch, the best weights kept, an early stop, and a
// checkpoint from which a run that was cut short goes on to the same bits.
//
// A family brings a Learner: its batches, what one batch teaches, and the model
// its weights make. It imports models/nn, models/eval and what lies below.
// Start reading at Run.
package training
