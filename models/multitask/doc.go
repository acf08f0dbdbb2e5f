// Package multitask is one network for several goals: the click, the cart and
// the purchase, which are rarer and worth more in that order. The rare goals
// borrow what the frequent ones teach through a shared bottom or a mixture of
// experts with a gate a goal (MMoE, Ma et al. 2018, KDD); and where a goal can
// only be reached through the one before, its probability is their product and
// is learnt over all candidates, not only over those that were clicked (the
// entire space of ESMM, Ma et al. 2018, SIGIR).
//
// A shopper is what they met, by goal: no row of a person is kept.
//
// It imports models/nn and what lies below. Start reading at Network.
package multitask
