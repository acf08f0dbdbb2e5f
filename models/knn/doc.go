// Package knn holds the neighbourhood models. All of them score an item by the
// shopper's weighed history times a matrix of item-to-item weights; they differ
// in where the matrix comes from: counted co-occurrence (item-cf, path-knn) or
// regression (ease, slim). user-cf goes through similar shoppers instead.
//
// It imports models and what lies below. Start reading at Items for serving, at
// similar for how neighbours are counted.
package knn
