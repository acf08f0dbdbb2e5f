package shopper

import (
	"fmt"
	"io"
	"sort"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what became of the sessions, judged by the truth. Bots are in no
// figure but their count.
type Report struct {
	Sessions  int       `json:"sessions"`
	Bots      int       `json:"bots"`
	Failed    int       `json:"failed"`   // ended by an error of the server
	Unserved  int       `json:"unserved"` // answers there was no release for
	Degraded  int       `json:"degraded"`
	Purchases int       `json:"purchases"`
	Returns   int       `json:"returns"`
	Answers   []Answers `json:"answers"`
	Rows      []Row     `json:"rows"`
	Fresh     Fresh     `json:"fresh"`
	Errors    []string  `json:"errors,omitempty"` // of the first sessions that failed
}

// Answers are the answers of one surface by one release.
type Answers struct {
	Surface string  `json:"surface"`
	Release string  `json:"release"`
	Count   int     `json:"count"`
	Clicks  int     `json:"clicks"`
	CTR     float64 `json:"ctr"`           // clicks an answer
	Chance  float64 `json:"chance"`        // of clicks an answer, by the truth
	Best    float64 `json:"best_chance"`   // of the best answer there is
	Regret  float64 `json:"regret"`        // best less chance, a mean
	Share   float64 `json:"share_of_best"` // chance over best
}

// Row is what one source proposed.
type Row struct {
	Surface     string  `json:"surface"`
	Release     string  `json:"release"`
	Source      string  `json:"source"`
	Impressions int     `json:"impressions"`
	Clicks      int     `json:"clicks"`
	CTR         float64 `json:"ctr"`    // clicks an impression
	Chance      float64 `json:"chance"` // of a click an impression, by the truth
	Purchases   int     `json:"purchases"`
	Returns     int     `json:"returns"`

	chance float64
}

// Fresh is how long it took from sending an event until the answer that it
// changed was there: two calls, one after the other.
type Fresh struct {
	Count   int64   `json:"count"`
	Changed float64 `json:"changed"` // share of answers that differed from the one before
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
}

// tally collects what one session adds; a tally of all takes them in.
type tally struct {
	mu                                                             sync.Mutex
	sessions, bots, failed, unserved, degraded, purchases, returns int
	rows                                                           map[[3]string]*Row
	answers                                                        map[[2]string]*Answers
	took                                                           []time.Duration
	changed                                                        int
	errors                                                         []string
}

func newTally() *tally {
	return &tally{rows: map[[3]string]*Row{}, answers: map[[2]string]*Answers{}}
}

func (t *tally) of(surface, release, source string) *Row {
	k := [3]string{surface, release, source}
	r := t.rows[k]
	if r == nil {
		r = &Row{Surface: surface, Release: release, Source: source}
		t.rows[k] = r
	}
	return r
}

func (t *tally) answersOf(surface, release string) *Answers {
	k := [2]string{surface, release}
	a := t.answers[k]
	if a == nil {
		a = &Answers{Surface: surface, Release: release}
		t.answers[k] = a
	}
	return a
}

func (t *tally) answer(surface, release string, chance, best float64, clicked bool) {
	a := t.answersOf(surface, release)
	a.Count++
	a.Chance += chance
	a.Best += best
	if clicked {
		a.Clicks++
	}
}

func (t *tally) fresh(took time.Duration, changed bool) {
	t.took = append(t.took, took)
	if changed {
		t.changed++
	}
}

// take adds what a session left.
func (t *tally) take(s *tally, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sessions += s.sessions
	t.bots += s.bots
	t.unserved += s.unserved
	t.degraded += s.degraded
	t.purchases += s.purchases
	t.returns += s.returns
	t.took = append(t.took, s.took...)
	t.changed += s.changed
	if err != nil {
		t.failed++
		if len(t.errors) < 5 {
			t.errors = append(t.errors, err.Error())
		}
	}
	for k, r := range s.rows {
		to := t.of(k[0], k[1], k[2])
		to.Impressions += r.Impressions
		to.Clicks += r.Clicks
		to.Purchases += r.Purchases
		to.Returns += r.Returns
		to.chance += r.chance
	}
	for k, a := range s.answers {
		to := t.answersOf(k[0], k[1])
		to.Count += a.Count
		to.Clicks += a.Clicks
		to.Chance += a.Chance
		to.Best += a.Best
	}
}

func (t *tally) report() *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Report{
		Sessions: t.sessions, Bots: t.bots, Failed: t.failed, Unserved: t.unserved, Degraded: t.degraded,
		Purchases: t.purchases, Returns: t.returns, Errors: t.errors,
	}
	for _, a := range t.answers {
		n := float64(a.Count)
		out := *a
		out.CTR, out.Chance, out.Best = float64(a.Clicks)/n, a.Chance/n, a.Best/n
		out.Regret = out.Best - out.Chance
		if out.Best > 0 {
			out.Share = out.Chance / out.Best
		}
		r.Answers = append(r.Answers, out)
	}
	for _, row := range t.rows {
		if row.Impressions == 0 {
			continue
		}
		out := *row
		out.CTR, out.Chance = float64(row.Clicks)/float64(row.Impressions), row.chance/float64(row.Impressions)
		r.Rows = append(r.Rows, out)
	}
	sort.Slice(r.Answers, func(i, j int) bool {
		a, b := &r.Answers[i], &r.Answers[j]
		return a.Surface+"\x00"+a.Release < b.Surface+"\x00"+b.Release
	})
	sort.Slice(r.Rows, func(i, j int) bool {
		a, b := &r.Rows[i], &r.Rows[j]
		return a.Surface+"\x00"+a.Release+"\x00"+a.Source < b.Surface+"\x00"+b.Release+"\x00"+b.Source
	})
	if n := len(t.took); n > 0 {
		h := hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
		for _, d := range t.took {
			_ = h.RecordValue(min(max(d.Microseconds(), 1), h.HighestTrackableValue()))
		}
		r.Fresh = Fresh{
			Count: int64(n), Changed: float64(t.changed) / float64(n),
			P50: float64(h.ValueAtQuantile(50)) / 1e3, P99: float64(h.ValueAtQuantile(99)) / 1e3, Max: float64(h.Max()) / 1e3,
		}
	}
	return r
}

// Table writes the report for people.
func (r *Report) Table(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "surface\trelease\tanswers\tclicks\tclicks/answer\tchance\tbest\tregret\tof best\t")
	for _, a := range r.Answers {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.0f %%\t\n", a.Surface, a.Release, a.Count, a.Clicks, a.CTR, a.Chance, a.Best, a.Regret, 100*a.Share)
	}
	_, _ = fmt.Fprintln(t, "\t\t\t\t\t\t\t\t\t\nsurface\tsource\timpressions\tclicks\tclicks/impression\tchance\tpurchases\treturns\t\t")
	for _, s := range r.Rows {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.4f\t%.4f\t%d\t%d\t\t\n", s.Surface, s.Source, s.Impressions, s.Clicks, s.CTR, s.Chance, s.Purchases, s.Returns)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d sessions (%d of bots, %d failed), %d purchases, %d returns, %d answers degraded, %d without a release\n"+
		"an event to the answer after it: p50 %.1f ms, p99 %.1f ms, max %.1f ms over %d; %.1f %% of those answers changed\n",
		r.Sessions, r.Bots, r.Failed, r.Purchases, r.Returns, r.Degraded, r.Unserved,
		r.Fresh.P50, r.Fresh.P99, r.Fresh.Max, r.Fresh.Count, 100*r.Fresh.Changed)
	return err
}
