package milvus_test

import (
	"context"
	"testing"
	"time"

	"github.com/attune-rec/attune/models/vector/milvus"
)

func connect(t *testing.T, c milvus.Config) *milvus.Client {
	t.Helper()
	var cl *milvus.Client
	var err error
	for range 20 { // healthy is said before all of it answers
		if cl, err = milvus.Connect(context.Background(), c); err == nil {
			t.Cleanup(func() { cl.Close() })
			return cl
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("connect: %v", err)
	return nil
}
