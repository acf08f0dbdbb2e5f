// Package job holds the trainer's commands, one to a file: a struct whose
// fields are the command's flags, with Run to carry it out and, where flags
// depend on one another, Validate to refuse them before any work starts.
//
// It imports features, models and what lies below. Start reading at Env, which
// is all that a command gets from the outside, then at Evaluate.
package job

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"time"
)

// Env is a command's surroundings.
type Env struct {
	Ctx      context.Context        // cancelled by Ctrl-C
	Out      io.Writer              // the command's result, and nothing else
	Err      io.Writer              // progress and remarks
	JSON     bool                   // the result is one JSON document
	Progress func(stage string) Bar // starts a stage of long work; never nil
	Log      *slog.Logger           // never nil
}

// NewEnv is the surroundings of a command that runs in a terminal or a script.
// Progress is a bar when errs is a terminal and plain lines elsewhere.
func NewEnv(ctx context.Context, out, errs io.Writer, asJSON bool, level slog.Level) *Env {
	progress := func(stage string) Bar { return newLines(errs, stage, time.Now) }
	if isTerminal(errs) {
		progress = func(stage string) Bar { return newDrawn(errs, stage) }
	}
	return &Env{
		Ctx: ctx, Out: out, Err: errs, JSON: asJSON, Progress: progress,
		Log: slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level})),
	}
}

// WriteJSON writes v as the command's result, indented.
func (e *Env) WriteJSON(v any) error {
	enc := json.NewEncoder(e.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
