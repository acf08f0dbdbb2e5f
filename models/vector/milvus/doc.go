// Package milvus is models.Index on a Milvus cluster, and the publisher that
// puts releases there: a collection for each release and model, an alias as
// the published pointer, the one before kept for rollback.
//
// The Milvus SDK stays inside this package. It imports models, models/release,
// models/vector, models/linalg and features besides. Start reading at client.go;
// cluster.go is what the programs use.
package milvus

import "errors"

var (
	// ErrConfig is returned for a configuration that cannot work.
	ErrConfig = errors.New("bad milvus configuration")
	// ErrMilvus wraps what Milvus refuses, or an answer that is none.
	ErrMilvus = errors.New("milvus")
	// ErrPublished is returned when a collection would be dropped that the alias
	// points to.
	ErrPublished = errors.New("collection is published")
	// ErrMismatch is returned for a collection of other vectors than the release
	// has: answers would mix two.
	ErrMismatch = errors.New("collection is of another release")
	// ErrQuery is returned for a query that cannot be searched.
	ErrQuery = errors.New("bad vector query")
	// ErrRows is returned for rows that cannot be published.
	ErrRows = errors.New("bad rows")
)
