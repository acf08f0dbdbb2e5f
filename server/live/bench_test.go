package live

import (
	"context"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

func BenchmarkAcquire(b *testing.B) {
	st := release.NewFolder(b.TempDir())
	d := release.Draft{Shop: "mugs", Items: []features.Item{{ID: "a"}}}
	m, err := release.Publish(context.Background(), st, d)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := release.Promote(context.Background(), st, "mugs", m.Version, release.Change{}); err != nil {
		b.Fatal(err)
	}
	var j journal
	o := options(st, &j)
	o.Build = func(context.Context, *release.Release) (*engine, error) { return &engine{}, nil }
	s, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	key := []byte("0123456789abcdef")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l, err := s.Acquire(context.Background(), "mugs", key)
			if err != nil {
				b.Error(err)
				return
			}
			l.Done()
		}
	})
}
