package privacy

import (
	"context"
	"log/slog"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/auth"
)

// Log is where what was done is written down.
type Log interface {
	Audit(ctx context.Context, shop features.ShopID, a store.Audited) error
	AuditAll(ctx context.Context, shop features.ShopID, all []store.Audited) error
}

// Auditor writes down who calls the methods whose policy asks for it: before
// the call, so that nothing is done unwritten, and again when it fails; of a call
// that only reads, before the answer, so that nothing is told unwritten. Persons
// stand there under their pseudonyms. It is safe for concurrent use.
type Auditor struct {
	Policies *auth.Policies
	Names    Names
	Log      Log
	Logger   *slog.Logger
	Alarm    *Alarm // nil: none
}

const (
	wasCalled = "called"
	hasFailed = "failed: "
)

// Begin writes a call down; the call must not go on when that fails.
func (a *Auditor) Begin(ctx context.Context, method string, req proto.Message) error {
	return a.write(ctx, method, req, wasCalled)
}

// Failed writes down that the call did not do what was asked.
func (a *Auditor) Failed(ctx context.Context, method string, req proto.Message, code string) {
	if err := a.write(context.WithoutCancel(ctx), method, req, hasFailed+code); err != nil {
		a.Logger.ErrorContext(ctx, "the audit log lacks that a call failed", "method", method, "code", code, "error", err)
	}
}

// Reads reports a method that only reads: nothing need be written before it
// begins when Answered or Refused is told how it ended. Those of the service that
// shows what was written are written down first, and found in what they show.
func (a *Auditor) Reads(method string) bool {
	policy, err := a.Policies.Of(method)
	return err == nil && policy.GetAudit() == attunev1.Audit_AUDIT_READ && !strings.HasPrefix(method, "/attune.v1.PrivacyService/")
}

// Refused writes down a call that read nothing and why; that must not be told
// when it fails.
func (a *Auditor) Refused(ctx context.Context, method string, req proto.Message, code string) error {
	return a.write(context.WithoutCancel(ctx), method, req, wasCalled, hasFailed+code)
}

func (a *Auditor) write(ctx context.Context, method string, req proto.Message, details ...string) error {
	policy, err := a.Policies.Of(method)
	if err != nil || policy.GetAudit() == attunev1.Audit_AUDIT_UNSPECIFIED {
		return err
	}
	for _, shop := range auth.ShopsOf(req) {
		subject, err := a.subject(ctx, shop, policy, req)
		if err != nil {
			return err
		}
		entries := make([]store.Audited, len(details))
		for i, detail := range details {
			entries[i] = store.Audited{Actor: auth.From(ctx).ID, Method: method, Subject: subject, Detail: detail}
		}
		if err := a.Log.AuditAll(ctx, shop, entries); err != nil {
			return err
		}
	}
	return nil
}

// subject is what a request is about: an item, a release, or a person by
// pseudonym.
func (a *Auditor) subject(ctx context.Context, shop features.ShopID, policy *attunev1.Policy, req proto.Message) (string, error) {
	if thing := thingOf(req.ProtoReflect()); thing != "" {
		return thing, nil
	}
	id := named(req.ProtoReflect())
	if !policy.GetPersonal() || id == "" {
		return id, nil
	}
	find := a.Names.Known
	if policy.GetAudit() == attunev1.Audit_AUDIT_WRITE {
		find = a.Names.Pseudonyms // the call may be the shop's first
	}
	names, err := find(ctx, shop)
	if err != nil || names == nil {
		return "", err
	}
	return names.User(id).String(), nil
}

// thingOf is the name of the segment, or the id of the risk flag or rule set,
// that a request is about: no person's own id.
func thingOf(m protoreflect.Message) string {
	fields := m.Descriptor().Fields()
	if f := fields.ByName("rule_set"); f != nil && f.Message() != nil && m.Has(f) {
		return named(m.Get(f).Message())
	}
	if f := fields.ByName("without"); f != nil && f.Kind() == protoreflect.StringKind {
		return m.Get(f).String()
	}
	if f := fields.ByName("flag"); f != nil && f.Kind() == protoreflect.StringKind {
		return m.Get(f).String()
	}
	if f := fields.ByName("segment"); f != nil && f.Message() != nil {
		m, fields = m.Get(f).Message(), f.Message().Fields()
	}
	if f := fields.ByName("name"); f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() {
		return m.Get(f).String()
	}
	return ""
}

// named is the id that a request names, or that of the one thing it brings.
func named(m protoreflect.Message) string {
	fields := m.Descriptor().Fields()
	for _, name := range []protoreflect.Name{"id", "version"} {
		if f := fields.ByName(name); f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() {
			return m.Get(f).String()
		}
	}
	for _, name := range []protoreflect.Name{"item", "user", "rule_set"} {
		if f := fields.ByName(name); f != nil && f.Message() != nil && !f.IsList() {
			return named(m.Get(f).Message())
		}
	}
	return ""
}
