package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// DeadLetters inspects what was refused and sends it again.
type DeadLetters struct {
	List   ListDead   `cmd:"" help:"What was refused, with the reason, beside a running server."`
	Replay ReplayDead `cmd:"" help:"Send refused events to a running server again; sending twice stores once."`
}

// deadFlags say which dead letters are meant.
type deadFlags struct {
	Data   string `default:"data" help:"Data directory." placeholder:"DIR"`
	Shop   string `default:"default" help:"The shop."`
	Rule   string `help:"Only what this rule refused." placeholder:"RULE"`
	Source string `help:"Only what came from a source that begins so: Collect, or a file's name." placeholder:"PREFIX"`
	After  int64  `help:"Only letters with a number above this one." default:"0"`
}

const lettersAtOnce = 500

// each calls f with the letters that are meant, oldest first.
func (d *deadFlags) each(env *Env, f func(*store.DeadLetter) error) (err error) {
	s, err := store.OpenReader(env.Ctx, store.Options{Dir: d.Data, Logger: env.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for after := d.After; ; {
		letters, err := s.ListDead(env.Ctx, features.ShopID(d.Shop), after, lettersAtOnce)
		if err != nil || len(letters) == 0 {
			return err
		}
		for i := range letters {
			l := &letters[i]
			after = l.ID
			if d.Rule != "" && l.Rule != d.Rule || !strings.HasPrefix(l.Source, d.Source) {
				continue
			}
			if err := f(l); err != nil {
				return err
			}
		}
	}
}

// ListDead shows dead letters.
type ListDead struct {
	deadFlags
	Limit    int    `help:"At most so many; 0: all." default:"100"`
	Payloads string `help:"Write what was refused to this file, a JSON object a line, to be mended and imported again." placeholder:"FILE"`
}

// letter is a dead letter as JSON.
type letter struct {
	ID       int64           `json:"id"`
	Received time.Time       `json:"received"`
	Source   string          `json:"source"`
	Rule     string          `json:"rule"`
	Reason   string          `json:"reason"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Replayed time.Time       `json:"replayed,omitzero"`
}

// Run implements the command.
func (c *ListDead) Run(env *Env) (err error) {
	payloads := io.Discard
	if c.Payloads != "" {
		f, err := os.OpenFile(c.Payloads, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("--payloads: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		payloads = f
	}
	enough := errors.New("enough")
	shown := []letter{}
	err = c.each(env, func(l *store.DeadLetter) error {
		if c.Limit > 0 && len(shown) >= c.Limit {
			return enough
		}
		out := letter{ID: l.ID, Received: l.Received, Source: l.Source, Rule: l.Rule, Reason: l.Reason, Replayed: l.Replayed}
		if json.Valid(l.Payload) {
			var line bytes.Buffer
			if err := json.Compact(&line, l.Payload); err != nil {
				return err
			}
			out.Payload = line.Bytes()
			if _, err := fmt.Fprintf(payloads, "%s\n", line.Bytes()); err != nil {
				return err
			}
		}
		shown = append(shown, out)
		return nil
	})
	more := errors.Is(err, enough)
	if err != nil && !more {
		return err
	}
	if env.JSON {
		return env.WriteJSON(shown)
	}
	for _, l := range shown {
		fmt.Fprintf(env.Out, "%d  %s  %s  %s: %s\n", l.ID, l.Received.Format(time.RFC3339), l.Source, l.Rule, l.Reason)
		if len(l.Payload) > 0 {
			fmt.Fprintf(env.Out, "    %s\n", l.Payload)
		}
	}
	if more {
		fmt.Fprintf(env.Out, "and more: --after %d shows them\n", shown[len(shown)-1].ID)
	}
	return nil
}

// ReplayDead sends the events that calls brought and that were refused to a
// server again: after its limits were widened, say, or a client's mistake is
// forgiven now. An event without an id gets one from its letter's number, so
// that it is stored once however often it is replayed.
type ReplayDead struct {
	deadFlags
	Server string `help:"REST address of the running server." default:"http://127.0.0.1:8080" placeholder:"URL"`
	Key    string `help:"Bearer token for it." env:"ATTUNE_TOKEN" placeholder:"TOKEN"`
}

// replayedID begins the ids of replayed events that had none.
const replayedID = "deadletter-"

// Replayed is what became of dead letters sent again.
type Replayed struct {
	Sent       int64          `json:"sent"`
	Accepted   int64          `json:"accepted"`
	Duplicates int64          `json:"duplicates"` // stored before
	Refused    int64          `json:"refused"`    // as before
	Rows       int64          `json:"rows"`       // of files: to be imported again, not sent
	Lost       int64          `json:"lost"`       // too large to have been kept, or erased
	Reasons    map[string]int `json:"reasons,omitempty"`
}

// Run implements the command.
func (c *ReplayDead) Run(env *Env) error {
	r := Replayed{Reasons: map[string]int{}}
	var batch []json.RawMessage
	err := c.each(env, func(l *store.DeadLetter) error {
		if !strings.HasPrefix(l.Source, "Collect") {
			r.Rows++
			return nil
		}
		var e map[string]json.RawMessage
		if json.Unmarshal(l.Payload, &e) != nil {
			r.Lost++
			return nil //nolint:nilerr // what cannot be read is counted
		}
		var id string
		if raw, ok := e["id"]; ok && json.Unmarshal(raw, &id) != nil {
			r.Lost++
			return nil //nolint:nilerr // likewise
		}
		switch {
		case strings.HasPrefix(id, replayedID):
			return nil // the letter of a replay: the first one is sent again
		case id == "":
			e["id"] = json.RawMessage(fmt.Sprintf(`"%s%d"`, replayedID, l.ID))
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if batch = append(batch, raw); len(batch) < lettersAtOnce {
			return nil
		}
		err = c.send(env, batch, &r)
		batch = batch[:0]
		return err
	})
	if err == nil && len(batch) > 0 {
		err = c.send(env, batch, &r)
	}
	if err != nil {
		return err
	}
	if env.JSON {
		return env.WriteJSON(r)
	}
	fmt.Fprintf(env.Out, "%d events sent: %d stored, %d stored before, %d refused again\n", r.Sent, r.Accepted, r.Duplicates, r.Refused)
	for reason, n := range r.Reasons {
		fmt.Fprintf(env.Out, "  %d  %s\n", n, reason)
	}
	if r.Rows > 0 {
		fmt.Fprintf(env.Out, "%d rows of files: write them out with 'trainer deadletters list --limit 0 --payloads FILE.jsonl', mend and import that\n", r.Rows)
	}
	if r.Lost > 0 {
		fmt.Fprintf(env.Out, "%d were not kept whole and cannot be sent\n", r.Lost)
	}
	return nil
}

// send sends a batch and counts what became of it.
func (c *ReplayDead) send(env *Env, batch []json.RawMessage, r *Replayed) (err error) {
	body, err := json.Marshal(map[string]any{"events": batch})
	if err != nil {
		return err
	}
	to := strings.TrimSuffix(c.Server, "/") + "/v1/shops/" + url.PathEscape(c.Shop) + "/events:batch"
	req, err := http.NewRequestWithContext(env.Ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("--server: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("replay: is the server running? %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("replay: the server answered %s: %s", resp.Status, answer)
	}
	var out struct { // numbers of 64 bits are strings in the JSON of protobuf
		Accepted, Duplicates, Rejected json.Number
		Errors                         []struct {
			Error struct{ Message string }
		}
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return fmt.Errorf("replay: the server's answer: %w", err)
	}
	for _, n := range []struct {
		from json.Number
		to   *int64
	}{{out.Accepted, &r.Accepted}, {out.Duplicates, &r.Duplicates}, {out.Rejected, &r.Refused}} {
		v, err := n.from.Int64()
		if err != nil && n.from != "" {
			return fmt.Errorf("replay: the server's answer: %w", err)
		}
		*n.to += v
	}
	for _, e := range out.Errors {
		r.Reasons[e.Error.Message]++
	}
	r.Sent += int64(len(batch))
	return nil
}
