// Package shop makes a shop to load a server with: goods, shoppers with tastes,
// what they did, and a release of it, all from one seed and as large as asked
// for. It shows what answers cost, not how good they are.
//
// It imports features and models. Start reading at Make.
package shop
