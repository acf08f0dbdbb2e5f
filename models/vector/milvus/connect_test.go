package milvus_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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

// A refused connection leaves nothing open: the check for leaks at the end of
// all tests would find it.
func TestRefusedConnectionIsClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		return status.Error(codes.Unauthenticated, "not you")
	}))
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	if _, err := milvus.Connect(context.Background(), milvus.Config{Address: l.Addr().String()}); !errors.Is(err, milvus.ErrMilvus) {
		t.Errorf("got %v, want ErrMilvus", err)
	}
}
