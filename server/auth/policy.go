// Package auth says who may call what. The policy of a method is declared in
// the proto, as an option, and read from the descriptors: there is no other
// list. It imports proto and features.
package auth

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// ErrNoPolicy is returned for a method that declares none: it is refused.
var ErrNoPolicy = errors.New("method has no policy")

// open are services of others that carry no option of ours and may be called
// by anyone who reaches the port.
var open = []string{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}

// Policies is the policy of every method, by full name: "/package.Service/Method".
// It is immutable and safe for concurrent use.
type Policies struct{ byMethod map[string]*attunev1.Policy }

// Methods reads the policies of every service of attune.v1 that is linked in.
// A method without one is an error.
func Methods() (*Policies, error) {
	p := &Policies{byMethod: map[string]*attunev1.Policy{}}
	var errs []error
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if f.Package() != "attune.v1" {
			return true
		}
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				name := fmt.Sprintf("/%s/%s", s.FullName(), m.Name())
				policy, ok := proto.GetExtension(m.Options(), attunev1.E_Policy).(*attunev1.Policy)
				if !ok || policy == nil || (len(policy.GetRoles()) == 0 && !policy.GetPublic()) {
					errs = append(errs, fmt.Errorf("%w: %s: add option (attune.v1.policy) with roles", ErrNoPolicy, name))
					continue
				}
				p.byMethod[name] = policy
			}
		}
		return true
	})
	return p, errors.Join(errs...)
}

// Of is the policy of a method; ErrNoPolicy when it has none.
func (p *Policies) Of(fullMethod string) (*attunev1.Policy, error) {
	if policy, ok := p.byMethod[fullMethod]; ok {
		return policy, nil
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	for _, o := range open {
		if service == o {
			return &attunev1.Policy{Public: true}, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNoPolicy, fullMethod)
}

// Names lists the methods that have a policy.
func (p *Policies) Names() []string {
	names := make([]string, 0, len(p.byMethod))
	for name := range p.byMethod {
		names = append(names, name)
	}
	return names
}
