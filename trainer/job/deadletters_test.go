package job

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features/store"
)

// letters is a data directory with refused events and a row of a file.
func letters(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(context.Background(), store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	err = s.PutDead(context.Background(), "default", []store.DeadLetter{
		{Source: "Collect", Rule: "too_old", Reason: "old", Payload: []byte(`{"id": "x1", "type": "EVENT_TYPE_VIEW"}`)},
		{Source: "CollectBatch", Rule: "invalid", Reason: "no item", Payload: []byte(`{"type": "EVENT_TYPE_VIEW"}`)},
		{Source: "CollectBatch", Rule: "invalid", Reason: "again", Payload: []byte(`{"id": "deadletter-2"}`)},
		{Source: "Collect", Rule: "invalid", Reason: "too large"},
		{Source: "shop.csv:7", Rule: "missing_item", Reason: "no item code", Payload: []byte(`{"InvoiceNo":"1"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestListDeadLetters(t *testing.T) {
	dir := letters(t)
	var out bytes.Buffer
	c := ListDead{deadFlags: deadFlags{Data: dir, Shop: "default", Source: "shop.csv"}, Payloads: filepath.Join(dir, "rows.jsonl")}
	if err := c.Run(NewEnv(context.Background(), &out, &out, false, slog.LevelError)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "shop.csv:7  missing_item: no item code") || strings.Contains(got, "too_old") {
		t.Errorf("got %s", got)
	}
	rows, err := os.ReadFile(c.Payloads)
	if err != nil || string(rows) != "{\"InvoiceNo\":\"1\"}\n" {
		t.Errorf("got payloads %q, %v", rows, err)
	}
	out.Reset()
	all := ListDead{deadFlags: deadFlags{Data: dir, Shop: "default"}, Limit: 2}
	if err := all.Run(NewEnv(context.Background(), &out, &out, true, slog.LevelError)); err != nil {
		t.Fatal(err)
	}
	var got []letter
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got) != 2 || got[0].Rule != "too_old" {
		t.Errorf("got %v, %v, want two letters from the first on", got, err)
	}
}

func TestReplayDeadLetters(t *testing.T) {
	var events []map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Events []map[string]any }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.URL.Path != "/v1/shops/default/events:batch" || r.Header.Get("Authorization") != "Bearer k" {
			http.Error(w, "not a batch of ours", http.StatusBadRequest)
			return
		}
		events = append(events, in.Events...)
		_, _ = w.Write([]byte(`{"accepted":"1","rejected":"1","errors":[{"index":"1","error":{"message":"no item"}}]}`))
	}))
	defer server.Close()
	var out bytes.Buffer
	c := ReplayDead{deadFlags: deadFlags{Data: letters(t), Shop: "default"}, Server: server.URL, Key: "k"}
	if err := c.Run(NewEnv(context.Background(), &out, &out, true, slog.LevelError)); err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 || events[0]["id"] != "x1" || events[1]["id"] != "deadletter-2" {
		t.Fatalf("the server was sent %v, want x1 and deadletter-2", events)
	}
	var got Replayed
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Sent != 2 || got.Accepted != 1 || got.Refused != 1 || got.Rows != 1 || got.Lost != 1 || got.Reasons["no item"] != 1 {
		t.Errorf("got %+v", got)
	}
	c.Server = "http://127.0.0.1:1"
	if err := c.Run(NewEnv(context.Background(), &out, &out, true, slog.LevelError)); err == nil {
		t.Error("nobody was there to take the letters, and no error came")
	}
}
