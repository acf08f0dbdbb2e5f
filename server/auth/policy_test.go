package auth

import (
	"errors"
	"testing"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

func TestEveryMethodHasAPolicy(t *testing.T) {
	p, err := Methods()
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, s := range []int{
		len(attunev1.RecommendationService_ServiceDesc.Methods),
		len(attunev1.EventService_ServiceDesc.Methods) + len(attunev1.EventService_ServiceDesc.Streams),
		len(attunev1.CatalogService_ServiceDesc.Methods),
		len(attunev1.UserService_ServiceDesc.Methods),
		len(attunev1.ReleaseService_ServiceDesc.Methods),
	} {
		want += s
	}
	if got := len(p.Names()); got < want {
		t.Fatalf("got policies for %d methods, want at least %d", got, want)
	}
}

func TestUnknownMethodIsRefused(t *testing.T) {
	p, err := Methods()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Of("/attune.v1.RecommendationService/Nothing"); !errors.Is(err, ErrNoPolicy) {
		t.Fatalf("got %v, want ErrNoPolicy", err)
	}
	if _, err := p.Of("/grpc.health.v1.Health/Check"); err != nil {
		t.Fatalf("health: got %v, want a public policy", err)
	}
}
