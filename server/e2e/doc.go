// Package e2e is the whole path in one process: a small shop is trained on,
// published, served over real gRPC and REST, and asked; events are collected
// and change the next answer; releases are swapped under traffic, rolled back,
// and refused when they are corrupt. Its tests read like the story of a shop;
// testdata has the answers in words.
//
// Only tests are here. Start reading at shop_test.go.
package e2e
