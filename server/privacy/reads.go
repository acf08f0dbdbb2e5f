package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/api"
	"github.com/attune-rec/attune/server/auth"
)

// readPrefix begins the detail of an entry that lists whom a call told of.
const readPrefix = "read: "

// readAtOnce is how many persons one entry lists.
const readAtOnce = 256

// Alarm rings when one caller reads the data of more than Most persons of a shop
// within Window. It is safe for concurrent use.
type Alarm struct {
	Most   int // 0: never
	Window time.Duration
	Clock  func() time.Time // nil: time.Now
	Rung   *prometheus.CounterVec

	mu   sync.Mutex
	seen map[reader]*reading
}

type reader struct {
	shop  features.ShopID
	actor string
}

type reading struct {
	since time.Time
	who   map[string]bool
	rung  bool
}

// NewAlarm returns an alarm whose counter is registered with r.
func NewAlarm(most int, window time.Duration, r prometheus.Registerer) *Alarm {
	a := &Alarm{Most: most, Window: window, seen: map[reader]*reading{}, Rung: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "attune_bulk_reads_total", Help: "Callers that read the data of more persons within the window than they should.",
	}, []string{"shop"})}
	if r != nil {
		r.MustRegister(a.Rung)
	}
	return a
}

// reads counts persons and reports whether the alarm rings now: once a window
// for a caller.
func (a *Alarm) reads(shop features.ShopID, actor string, who []string) bool {
	if a == nil || a.Most <= 0 || len(who) == 0 {
		return false
	}
	now := time.Now()
	if a.Clock != nil {
		now = a.Clock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.seen[reader{shop, actor}]
	if r == nil || now.Sub(r.since) >= a.Window {
		for k, old := range a.seen {
			if now.Sub(old.since) >= a.Window {
				delete(a.seen, k)
			}
		}
		r = &reading{since: now, who: map[string]bool{}}
		a.seen[reader{shop, actor}] = r
	}
	for _, w := range who {
		if len(r.who) <= a.Most {
			r.who[w] = true
		}
	}
	if r.rung || len(r.who) <= a.Most {
		return false
	}
	r.rung = true
	a.Rung.WithLabelValues(string(shop)).Inc()
	return true
}

// Done writes down whom an answer tells of, where it tells of several, and
// counts them, but for what frontends may ask; the answer must not be given when
// that fails.
func (a *Auditor) Done(ctx context.Context, method string, req, resp proto.Message) error {
	return a.answered(ctx, method, req, resp, nil, "")
}

// Early writes a call of a method that Reads down, and persons whom its answer
// will tell of, while the answer is made.
func (a *Auditor) Early(ctx context.Context, method string, req proto.Message, who []features.UserKey) error {
	keys := make([]string, len(who))
	for i, k := range who {
		keys[i] = k.String()
	}
	policy, err := a.Policies.Of(method)
	if err != nil {
		return err
	}
	for _, shop := range auth.ShopsOf(req) {
		subject, err := a.subject(ctx, shop, policy, req)
		if err != nil {
			return err
		}
		entries := append([]store.Audited{{Actor: auth.From(ctx).ID, Method: method, Subject: subject, Detail: wasCalled}}, readEntries(auth.From(ctx).ID, method, keys)...)
		if err := a.Log.AuditAll(ctx, shop, entries); err != nil {
			return err
		}
	}
	return nil
}

// readEntries tell whom an actor read.
func readEntries(actor, method string, who []string) (entries []store.Audited) {
	for part := range slices.Chunk(who, readAtOnce) {
		entries = append(entries, store.Audited{Actor: actor, Method: method, Detail: readPrefix + strings.Join(part, " ")})
	}
	return entries
}

// Answered is Begin and Done at once, of a method that Reads; what was written
// early is not written again.
func (a *Auditor) Answered(ctx context.Context, method string, req, resp proto.Message, told *api.Told) error {
	return a.answered(ctx, method, req, resp, told, wasCalled)
}

// answered writes down what is given, and whom an answer tells of.
func (a *Auditor) answered(ctx context.Context, method string, req, resp proto.Message, told *api.Told, detail string) error {
	policy, err := a.Policies.Of(method)
	if err != nil || policy.GetAudit() != attunev1.Audit_AUDIT_READ || detail == "" && !policy.GetPersonal() {
		return err
	}
	for _, shop := range auth.ShopsOf(req) {
		names, err := a.Names.Known(ctx, shop)
		if err != nil {
			return err
		}
		var who, one []string
		if policy.GetPersonal() && names != nil {
			who = personsIn(resp.ProtoReflect(), names)
			if told != nil {
				for _, k := range told.Unnamed() {
					who = append(who, k.String())
				}
			}
			if id := named(req.ProtoReflect()); id != "" && thingOf(req.ProtoReflect()) == "" {
				one = []string{names.User(id).String()}
			}
		}
		unwritten, detail := who, detail
		if told != nil {
			early, err := told.Early()
			if err != nil {
				return err
			}
			if len(early) > 0 {
				unwritten, detail = lacking(who, early), ""
			}
		}
		var entries []store.Audited
		if detail != "" {
			subject, err := a.subject(ctx, shop, policy, req)
			if err != nil {
				return err
			}
			entries = append(entries, store.Audited{Actor: auth.From(ctx).ID, Method: method, Subject: subject, Detail: detail})
		}
		entries = append(entries, readEntries(auth.From(ctx).ID, method, unwritten)...)
		if len(entries) > 0 {
			if err := a.Log.AuditAll(ctx, shop, entries); err != nil {
				return err
			}
		}
		if slices.Contains(policy.GetRoles(), attunev1.Role_ROLE_FRONTEND) {
			continue // a frontend asks it of every shopper
		}
		if err := errors.Join(a.count(ctx, shop, method, one), a.count(ctx, shop, method, who)); err != nil {
			return err
		}
	}
	return nil
}

// lacking are those of who that are not among those written early.
func lacking(who []string, early []features.UserKey) (out []string) {
	written := make(map[features.UserKey]bool, len(early))
	for _, k := range early {
		written[k] = true
	}
	for _, text := range who {
		if k, err := features.ParseUserKey(text); err != nil || !written[k] {
			out = append(out, text)
		}
	}
	return out
}

// count counts persons that the caller read and rings.
func (a *Auditor) count(ctx context.Context, shop features.ShopID, method string, who []string) error {
	return a.countOf(ctx, shop, method, auth.From(ctx).ID, who)
}

func (a *Auditor) countOf(ctx context.Context, shop features.ShopID, method, actor string, who []string) error {
	if !a.Alarm.reads(shop, actor, who) {
		return nil
	}
	detail := fmt.Sprintf("alarm: the data of more than %d persons was read within %s", a.Alarm.Most, a.Alarm.Window)
	a.Logger.WarnContext(ctx, "bulk reading of persons' data: revoke the key if it should not, and ask ListAffected whose data it was",
		"shop", shop, "actor", actor, "persons", a.Alarm.Most+1, "window", a.Alarm.Window)
	return a.Log.Audit(ctx, shop, store.Audited{Actor: actor, Method: method, Detail: detail})
}

// personFields are where messages name a person: the shop's id, or a pseudonym.
var personFields = []struct {
	message  protoreflect.FullName
	field    protoreflect.Name
	external bool
}{
	{"attune.v1.User", "id", true},
	{"attune.v1.Profile", "key", false},
	{"attune.v1.Member", "key", false},
	{"attune.v1.RiskFlag", "subject", false},
	{"attune.v1.Affected", "subject", false},
	{"attune.v1.DeadLetter", "subject", false},
}

// personsIn are the pseudonyms of those that an answer lists, or is.
func personsIn(m protoreflect.Message, names *features.Pseudonyms) (who []string) {
	if batch, ok := m.Interface().(*attunev1.BatchGetProfilesResponse); ok { // asked for by the thousand: as below
		for _, p := range batch.GetProfiles() {
			if key := p.GetKey(); key != "" {
				who = append(who, key)
			}
		}
		return who
	}
	if p := personIn(m, names); p != "" && m.Descriptor().FullName() == "attune.v1.Member" {
		return []string{p}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				if p := personIn(v.List().Get(i).Message(), names); p != "" {
					who = append(who, p)
				}
			}
		default:
			if p := personIn(v.Message(), names); p != "" {
				who = append(who, p)
			}
		}
		return true
	})
	return who
}

func personIn(m protoreflect.Message, names *features.Pseudonyms) string {
	for _, p := range personFields {
		if m.Descriptor().FullName() != p.message {
			continue
		}
		text := m.Get(m.Descriptor().Fields().ByName(p.field)).String()
		if p.external && text != "" {
			text = names.User(text).String()
		}
		return text
	}
	return ""
}
