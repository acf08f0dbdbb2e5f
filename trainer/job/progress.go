package job

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Bar shows how far a stage of long work is. It is safe for concurrent use.
type Bar interface {
	// Step says that done of total steps are behind; total 0 is unknown. note
	// is a few words or figures, "" for none.
	Step(done, total int, note string)
	// Done ends the stage.
	Done()
}

// lineEvery is how often plain progress says where it is.
const lineEvery = 5 * time.Second

// lines is progress for logs and pipes: a line when the stage ends, and one now
// and then before.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	stage  string
	now    func() time.Time
	start  time.Time
	last   time.Time
	latest string
}

func newLines(w io.Writer, stage string, now func() time.Time) *lines {
	t := now()
	return &lines{w: w, stage: stage, now: now, start: t, last: t}
}

func (l *lines) Step(done, total int, note string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest = fmt.Sprintf("%d", done)
	if total > 0 {
		l.latest = fmt.Sprintf("%d/%d", done, total)
	}
	if note != "" {
		l.latest += " " + note
	}
	if t := l.now(); t.Sub(l.last) >= lineEvery {
		l.last = t
		fmt.Fprintf(l.w, "%s: %s (%s)\n", l.stage, l.latest, t.Sub(l.start).Round(time.Second))
	}
}

func (l *lines) Done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	what := "done"
	if l.latest != "" {
		what = l.latest + ", done"
	}
	fmt.Fprintf(l.w, "%s: %s (%s)\n", l.stage, what, l.now().Sub(l.start).Round(time.Millisecond))
}

// drawn is a bar on a terminal.
type drawn struct {
	mu    sync.Mutex
	stage string
	bar   *progressbar.ProgressBar
	total int
}

func newDrawn(w io.Writer, stage string) *drawn {
	return &drawn{stage: stage, bar: progressbar.NewOptions(-1,
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(stage), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionSetRenderBlankState(true))}
}

// A terminal that cannot be written to loses its bar and nothing else, so the
// errors of drawing are not passed on.
func (d *drawn) Step(done, total int, note string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if total > 0 && total != d.total {
		d.total = total
		d.bar.ChangeMax(total)
	}
	what := d.stage
	if note != "" {
		what += " " + note
	}
	d.bar.Describe(what)
	_ = d.bar.Set(done)
}

func (d *drawn) Done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.bar.Finish()
	_ = d.bar.Exit()
}
