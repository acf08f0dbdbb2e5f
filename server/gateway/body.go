package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/attune-rec/attune/server/guard"
)

const (
	// mostParts is how many values the JSON of a body may have: an empty one takes
	// three bytes there and a hundred times that in memory.
	mostParts = 500_000
	// unturned is the bytes of a body that may be read without a turn.
	unturned = 64 << 10
	// costs is the bytes in memory for each of a body: its text, the message, and
	// the message's way inside.
	costs = 6
)

var errParts = errors.New("request has too many parts")

// bounded lets next read no more of a body than may be held in memory.
func bounded(next http.Handler, o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := r.ContentLength
		if size < 0 || size > o.MaxBody {
			size = o.MaxBody
		}
		b := &body{ReadCloser: http.MaxBytesReader(w, r.Body, o.MaxBody), ctx: r.Context(), memory: o.Memory, size: size}
		r.Body = b
		defer b.leave()
		next.ServeHTTP(w, r)
	})
}

// body is a request's body whose bytes and values are counted as they pass; a
// large one waits for its turn.
type body struct {
	io.ReadCloser
	ctx    context.Context
	memory *guard.Memory
	size   int64  // at most
	end    func() // of the turn; nil: it has none
	err    error  // what ended it before its end

	read            int64
	parts           int
	quoted, escaped bool
}

func (b *body) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.read > unturned && b.end == nil {
		if b.end, b.err = b.memory.Body(b.ctx, costs*b.size); b.err != nil {
			return 0, b.err
		}
	}
	n, err = b.ReadCloser.Read(p)
	b.read += int64(n)
	b.count(p[:n])
	if b.parts > mostParts {
		err = errParts
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// count counts values by what stands before them outside of texts.
func (b *body) count(p []byte) {
	for _, c := range p {
		switch {
		case b.escaped:
			b.escaped = false
		case b.quoted && c == '\\':
			b.escaped = true
		case c == '"':
			b.quoted = !b.quoted
		case !b.quoted && (c == ',' || c == '{' || c == '['):
			b.parts++
		}
	}
}

// leave ends the body's turn.
func (b *body) leave() {
	if b.end != nil {
		b.end()
	}
}
