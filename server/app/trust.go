package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/risk"
)

// Trust is how attacks are looked for, what counts as agreed, what is kept how
// long, and when reading rings an alarm.
type Trust struct {
	RiskEvery      time.Duration     `help:"Time between two looks for attacks in the logs; 0: only when RiskService is asked." default:"1h"`
	RiskQuarantine float64           `help:"Flags of this score and more are kept out of training and counts by themselves; 0: none is." default:"0.8"`
	DefaultConsent []string          `help:"What who said nothing agreed to, by shop and market: default=personalisation+analytics, default/DE=none." placeholder:"SHOP[/MARKET]=PURPOSES"`
	Needed         []string          `help:"What fields of persons and events are needed for, by shop: default/user.gender=none, default/event.device=analytics. What no purpose needs is not stored, what some need only of who agreed to one. What is not named is stored." placeholder:"SHOP/FIELD=PURPOSES"`
	Sensitive      []string          `help:"Attributes of persons that no model and no report may use but for the purposes recorded: default/gender, default/gender=fairness." placeholder:"SHOP/ATTRIBUTE[=PURPOSES]"`
	FairLimit      []string          `help:"PromoteRelease takes only what surely differs by no more than this between the groups of an attribute: gender:price=0.05 for every shop, default/gender:price=0.05 for one; MEASURE is quality, exposure or price." placeholder:"[SHOP/]ATTRIBUTE:MEASURE=MOST"`
	Retain         map[string]string `help:"How long events of a type are kept, such as impression=90d; answer and refused are those records. What is not named is kept." mapsep:"," placeholder:"TYPE=DURATION"`
	RetainEvery    time.Duration     `help:"Time between two looks for what is kept too long." default:"24h"`
	BulkReads      int               `help:"An alarm rings when a caller reads the data of more persons of a shop within --bulk-window; 0: never." default:"1000"`
	BulkWindow     time.Duration     `help:"See --bulk-reads." default:"1h"`
}

func (t *Trust) wrong() string {
	switch {
	case t.RiskEvery < 0 || t.RetainEvery < 0 || t.BulkWindow < 0 || t.BulkReads < 0:
		return "risk-every, --retain-every, --bulk-window, --bulk-reads: expected 0 or more"
	case !(t.RiskQuarantine >= 0 && t.RiskQuarantine <= 1):
		return "risk-quarantine: expected 0 to 1"
	}
	if _, err := parseConsents(t.DefaultConsent); err != nil {
		return "default-consent: " + err.Error()
	}
	if _, err := parseNeeds(t.Needed); err != nil {
		return "needed: " + err.Error()
	}
	if _, err := parseSensitive(t.Sensitive); err != nil {
		return "sensitive: " + err.Error()
	}
	if _, err := parseRetention(t.Retain); err != nil {
		return "retain: " + err.Error()
	}
	if _, err := parseFairLimits(t.FairLimit); err != nil {
		return "fair-limit: " + err.Error()
	}
	return ""
}

// defaults are what a shop's shoppers who said nothing agreed to.
type defaults struct {
	shop    *features.Purposes // nil: as it was
	markets map[string]features.Purposes
}

func parseConsents(rules []string) (map[features.ShopID]*defaults, error) {
	all := map[features.ShopID]*defaults{}
	for _, rule := range rules {
		where, what, ok := strings.Cut(rule, "=")
		name, market, one := strings.Cut(where, "/")
		shop := features.ShopID(name)
		if err := shop.Validate(); err != nil || !ok || one && market == "" {
			return nil, fmt.Errorf("expected SHOP=PURPOSES or SHOP/MARKET=PURPOSES: got %q", rule)
		}
		p, err := parsePurposes(what)
		if err != nil {
			return nil, err
		}
		if all[shop] == nil {
			all[shop] = &defaults{markets: map[string]features.Purposes{}}
		}
		if one {
			all[shop].markets[market] = p
		} else {
			all[shop].shop = &p
		}
	}
	return all, nil
}

func parsePurposes(text string) (p features.Purposes, err error) {
	for _, word := range strings.Split(text, "+") {
		switch word {
		case "none":
		case "all":
			p |= features.AllPurposes
		case "personalisation":
			p |= features.Personalisation
		case "marketing":
			p |= features.Marketing
		case "analytics":
			p |= features.Analytics
		default:
			return 0, fmt.Errorf("expected purposes joined by +, of personalisation, marketing and analytics, or all, or none: got %q", word)
		}
	}
	return p, nil
}

// consents makes the configured defaults those of the store.
func (s *Server) consents(ctx context.Context) error {
	all, err := parseConsents(s.config.DefaultConsent)
	if err != nil {
		return err
	}
	for shop, d := range all {
		if d.shop != nil {
			if err := s.store.SetDefaultConsent(ctx, shop, *d.shop); err != nil {
				return err
			}
		}
		if err := s.store.SetMarketConsents(ctx, shop, d.markets); err != nil {
			return err
		}
	}
	return nil
}

// risks looks for attacks.
func (s *Server) risks() *risk.Keeper {
	s.risk = risk.New(risk.Options{
		Store: s.store, Every: s.config.RiskEvery, Quarantine: s.config.RiskQuarantine, Logger: s.log, Registerer: s.metrics,
		Changed: func(shop features.ShopID) {
			s.withheld.forget(shop)
			s.quarantined.forget(shop)
			if err := s.people.Recount(s.stopping, shop); err != nil {
				s.log.Error("profiles still count what was quarantined, or lack what was let in, until the next start", "shop", shop, "error", err)
			}
			if err := s.signals.Reload(shop); err != nil {
				s.log.Error("signals still count what was kept out, or lack what was let in, until the next start", "shop", shop, "error", err)
			}
		},
	})
	return s.risk
}

// withheld remembers by shop which events are kept out.
type withheld struct {
	read  func(context.Context, features.ShopID) (func(*features.Event) bool, error)
	known sync.Map // features.ShopID -> func(*features.Event) bool
	turns atomic.Int64
}

func (w *withheld) forget(shop features.ShopID) {
	w.turns.Add(1)
	w.known.Delete(shop)
}

// holds reports whether an event is kept out. Where the store cannot tell, it is
// not.
func (w *withheld) holds(ctx context.Context, shop features.ShopID, e *features.Event) bool {
	known, ok := w.known.Load(shop)
	if !ok {
		turn := w.turns.Load()
		f, err := w.read(ctx, shop)
		if err != nil {
			return false
		}
		known, _ = w.known.LoadOrStore(shop, f)
		if w.turns.Load() != turn { // it may be of before
			w.known.Delete(shop)
		}
	}
	f := known.(func(*features.Event) bool)
	return f != nil && f(e)
}
