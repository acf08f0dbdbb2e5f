package profile

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// A shop's file is what a start reads in place of the whole log: 8 bytes of
// magic; the newest event it has and when it was written, as int64; the number
// of keys and the keys; the number of states, each as key, consent, length and
// bytes; and a CRC-32C of all before. Numbers are big-endian. It can be taken
// away at any time: the log has everything.
const fileMagic = "ATTUPRF1"

// linkLag is how long a link that is stored may be unknown here.
const linkLag = 2 * time.Second

// fileState is what is known of a shop's file.
type fileState struct {
	writing sync.Mutex // held while it is written
	mu      sync.Mutex
	beside  bool  // it is written beside the follower
	taken   int64 // times that it was taken away
	missing bool  // it was taken away and not written since
	seq     int64 // of the file
}

func (f *fileState) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.missing
}

func (s *shop) path() string { return filepath.Join(s.k.o.Dir, string(s.id)+".profiles") }

// unwrite takes the file away: it has somebody who is not to be kept.
func (s *shop) unwrite() {
	if s.k.o.Dir == "" {
		return
	}
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	s.file.taken++
	s.file.missing = true
	if err := os.Remove(s.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.k.o.Logger.Error("the file of profiles could not be taken away: delete it", "file", s.path(), "error", err)
	}
	s.wakeUp()
}

// saveBeside saves beside the follower, unless that goes on already. States may
// be newer than the place in the log that the file names: what they have they
// take in no second time.
func (s *shop) saveBeside() {
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	if s.file.beside {
		return
	}
	s.file.beside = true
	s.k.wg.Go(func() {
		s.save()
		s.file.mu.Lock()
		s.file.beside = false
		again := s.file.missing
		s.file.mu.Unlock()
		if again {
			s.wakeUp()
		}
	})
}

// save writes the file where there is something new. Every state has all of the
// log up to the follower's place at its beginning.
func (s *shop) save() {
	if s.k.o.Dir == "" {
		return
	}
	s.file.writing.Lock()
	defer s.file.writing.Unlock()
	seq := s.seq.Load()
	s.file.mu.Lock()
	taken, idle := s.file.taken, s.file.seq == seq && !s.file.missing
	s.file.mu.Unlock()
	if idle || seq == 0 {
		return
	}
	began := s.k.o.Clock().Add(-linkLag)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := s.join(ctx) // states that are not of one person any more are not written
	if err == nil {
		err = s.write(seq, taken, began)
	}
	if err != nil {
		s.k.o.Logger.Error("profiles could not be written; a start will read more of the log", "shop", s.id, "error", err)
	}
}

func (s *shop) write(seq, taken int64, began time.Time) (err error) {
	if err := os.MkdirAll(s.k.o.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.k.o.Dir, ".profiles-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err = errors.Join(s.writeTo(f, seq, began), f.Sync(), f.Close()); err != nil {
		return err
	}
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	if s.file.taken != taken { // somebody in it is to be forgotten
		return os.Remove(f.Name())
	}
	if err = os.Rename(f.Name(), s.path()); err != nil {
		return err
	}
	s.file.seq, s.file.missing = seq, false
	return nil
}

func (s *shop) writeTo(out io.Writer, seq int64, began time.Time) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	w := bufio.NewWriterSize(io.MultiWriter(out, sum), 1<<20)
	number := func(n int64) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		_, _ = w.Write(b[:]) // Flush says what a write met
	}
	_, _ = w.WriteString(fileMagic)
	number(seq)
	number(began.UnixMilli())
	s.roster.mu.RLock()
	number(int64(len(s.roster.all)))
	for k := range s.roster.all {
		_, _ = w.Write(k[:])
	}
	s.roster.mu.RUnlock()
	var body []byte
	for i, key := range s.entries.Keys() {
		e, ok := s.entries.Peek(key)
		if !ok {
			continue
		}
		e.mu.Lock()
		write := e.has()
		var err error
		if write {
			body, err = e.state.AppendBinary(body[:0])
		}
		consent := e.consent
		e.mu.Unlock()
		if err != nil {
			return err
		}
		if i%64 == 0 {
			runtime.Gosched() // requests go first
		}
		if write {
			number(int64(len(body)))
			_, _ = w.Write(key[:])
			_ = w.WriteByte(byte(consent))
			_, _ = w.Write(body)
		}
	}
	number(-1)
	if err := w.Flush(); err != nil {
		return err
	}
	return binary.Write(out, binary.BigEndian, sum.Sum32())
}

// open takes in what the file has. One that cannot be used is left aside: then
// the whole log is read.
func (s *shop) open(ctx context.Context) {
	if s.k.o.Dir == "" {
		return
	}
	began := time.Now()
	err := s.readFile(ctx)
	switch {
	case err == nil:
		s.k.o.Logger.Info("profiles read", "shop", s.id, "kept", s.entries.Len(), "shoppers", s.roster.len(), "took", time.Since(began))
	case errors.Is(err, fs.ErrNotExist):
	default:
		s.k.o.Logger.Warn("the file of profiles is of no use; the log is read from its beginning", "shop", s.id, "error", err)
	}
	if err != nil {
		s.entries.Purge()
		s.roster.mu.Lock()
		s.roster.all, s.roster.sorted, s.roster.fresh = map[features.UserKey]struct{}{}, nil, nil
		s.roster.mu.Unlock()
		s.seq.Store(0)
	}
}

func (s *shop) readFile(ctx context.Context) (err error) {
	f, err := os.Open(s.path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	choices, err := s.k.o.Store.Choices(ctx, s.id)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(f, 1<<20)
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	r := io.TeeReader(in, sum)
	var seq, written int64
	magic := make([]byte, len(fileMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != fileMagic {
		return fmt.Errorf("%s: is no file of profiles of this form", s.path())
	}
	if err := errors.Join(binary.Read(r, binary.BigEndian, &seq), binary.Read(r, binary.BigEndian, &written)); err != nil {
		return err
	}
	if end, err := s.k.o.Store.End(ctx, s.id); err != nil || seq >= end {
		return errors.Join(err, fmt.Errorf("%s: is newer than the log: it ends at %d", s.path(), end))
	}
	if err := s.readKeys(r); err != nil {
		return err
	}
	if err := s.readStates(r, choices); err != nil {
		return err
	}
	want := sum.Sum32()
	var got uint32
	if err := binary.Read(in, binary.BigEndian, &got); err != nil || got != want {
		return errors.Join(err, fmt.Errorf("%s: has a wrong checksum", s.path()))
	}
	touched, err := s.k.o.Store.Touched(ctx, s.id, time.UnixMilli(written))
	if err != nil {
		return err
	}
	suspects, err := s.k.o.Store.Suspects(ctx, s.id, time.UnixMilli(written))
	if err != nil {
		return err
	}
	for _, k := range append(touched, suspects...) {
		person, err := s.resolve(ctx, k)
		if err != nil {
			return err
		}
		s.stale(k)
		s.stale(person)
	}
	s.seq.Store(seq)
	s.file.mu.Lock()
	s.file.seq = seq
	s.file.mu.Unlock()
	return nil
}

func (s *shop) readKeys(r io.Reader) error {
	var n int64
	if err := binary.Read(r, binary.BigEndian, &n); err != nil {
		return err
	}
	var k features.UserKey
	for range n {
		if _, err := io.ReadFull(r, k[:]); err != nil {
			return err
		}
		s.roster.add(k)
	}
	return nil
}

// readStates takes states in. Whose consent is the default of the market they
// are in is read from the store when asked for.
func (s *shop) readStates(r io.Reader, choices *store.Choices) error {
	const most = 1 << 24 // bytes of one state
	var head [25]byte
	var body []byte
	for {
		if _, err := io.ReadFull(r, head[:8]); err != nil {
			return err
		}
		n := int64(binary.BigEndian.Uint64(head[:8]))
		if n == -1 {
			return nil
		}
		if n < 0 || n > most {
			return fmt.Errorf("%s: a state of %d bytes", s.path(), n)
		}
		if _, err := io.ReadFull(r, head[8:]); err != nil {
			return err
		}
		if int64(cap(body)) < n {
			body = make([]byte, n)
		}
		body = body[:n]
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		key := features.UserKey(head[8:24])
		if !choices.Settled(key) {
			continue
		}
		now := choices.Of(key)
		if !now.Has(features.Personalisation) || features.Purposes(head[24])&features.Personalisation == 0 {
			continue
		}
		e := &entry{loaded: true, agreed: true, consent: now}
		if err := e.state.UnmarshalBinary(body); err != nil {
			return err
		}
		s.entries.PeekOrAdd(key, e)
	}
}
