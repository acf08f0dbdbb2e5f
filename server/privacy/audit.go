package privacy

import (
	"context"
	"log/slog"

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
}

// Auditor writes down who calls the methods whose policy asks for it: before
// the call, so that nothing is done unwritten, and again when it fails. Persons
// stand there under their pseudonyms. It is safe for concurrent use.
type Auditor struct {
	Policies *auth.Policies
	Names    Names
	Log      Log
	Logger   *slog.Logger
	Alarm    *Alarm // nil: none
}

// Begin writes a call down; the call must not go on when that fails.
func (a *Auditor) Begin(ctx context.Context, method string, req proto.Message) error {
	return a.write(ctx, method, req, "called")
}

// Failed writes down that the call did not do what was asked.
func (a *Auditor) Failed(ctx context.Context, method string, req proto.Message, code string) {
	if err := a.write(context.WithoutCancel(ctx), method, req, "failed: "+code); err != nil {
		a.Logger.ErrorContext(ctx, "the audit log lacks that a call failed", "method", method, "code", code, "error", err)
	}
}

func (a *Auditor) write(ctx context.Context, method string, req proto.Message, detail string) error {
	policy, err := a.Policies.Of(method)
	if err != nil || policy.GetAudit() == attunev1.Audit_AUDIT_UNSPECIFIED {
		return err
	}
	entry := store.Audited{Actor: auth.From(ctx).ID, Method: method, Detail: detail}
	for _, shop := range auth.ShopsOf(req) {
		if entry.Subject, err = a.subject(ctx, shop, policy, req); err != nil {
			return err
		}
		if err := a.Log.Audit(ctx, shop, entry); err != nil {
			return err
		}
	}
	return nil
}

// subject is what a request is about: an item, a release, or a person by
// pseudonym.
func (a *Auditor) subject(ctx context.Context, shop features.ShopID, policy *attunev1.Policy, req proto.Message) (string, error) {
	if segment := segmentOf(req.ProtoReflect()); segment != "" {
		return segment, nil
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

// segmentOf is the name of the segment, or the id of the risk flag, that a
// request is about: no person's own id.
func segmentOf(m protoreflect.Message) string {
	fields := m.Descriptor().Fields()
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
