package kafka

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/attune-rec/attune/server/api"
)

// take takes records topic by topic and reports whether all of them are durable,
// taken or kept as refused; only the end of ctx keeps it from that.
func (k *Connector) take(ctx context.Context, records []Record) bool {
	var topics []string
	rows := map[string][]api.Row{}
	for i := range records {
		t := records[i].Topic
		if _, ok := k.targets[t]; !ok {
			continue // not asked for
		}
		if rows[t] == nil {
			topics = append(topics, t)
		}
		rows[t] = append(rows[t], rowOf(&records[i]))
	}
	for _, topic := range topics {
		if !k.all(ctx, k.targets[topic], rows[topic]) {
			return false
		}
		k.metrics.records.WithLabelValues(topic).Add(float64(len(rows[topic])))
	}
	return true
}

// all takes rows of a topic, and again until it could: the store may be full or
// slow. Rows that cannot be taken although the store is well are found one by
// one, and kept aside.
func (k *Connector) all(ctx context.Context, t Target, rows []api.Row) bool {
	for try := 0; ; try++ {
		err := k.once(ctx, t, rows)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		k.trouble("store", fmt.Errorf("%d rows of topic %s: %w", len(rows), t.Topic, err))
		if try+1 >= k.limits.tries && !api.Passing(err) {
			done, again := k.apart(ctx, t, rows)
			if done {
				return true
			}
			rows = again
		}
		if !pause(ctx, min(k.limits.first<<min(try, 16), k.limits.last)) {
			return false
		}
	}
}

// apart takes rows one by one. Those that fail for a reason of their own are
// kept aside; when every one of several fails, it is not the rows. again is what
// must be taken again when it is not done.
func (k *Connector) apart(ctx context.Context, t Target, rows []api.Row) (done bool, again []api.Row) {
	type failure struct {
		row api.Row
		err error
	}
	var failed []failure
	for i := range rows {
		err := k.once(ctx, t, rows[i:i+1])
		switch {
		case err == nil:
		case ctx.Err() != nil || api.Passing(err):
			for _, f := range failed {
				again = append(again, f.row)
			}
			return false, append(again, rows[i:]...)
		default:
			failed = append(failed, failure{rows[i], err})
		}
	}
	if len(failed) == len(rows) && len(rows) > 1 {
		return false, rows
	}
	for i, f := range failed {
		burying, cancel := k.beyond(ctx, 0)
		err := k.o.Door.Bury(burying, t.Shop, t.What, f.row, f.err)
		cancel()
		if err != nil {
			k.trouble("store", err)
			for _, f := range failed[i:] {
				again = append(again, f.row)
			}
			return false, again
		}
		k.o.Logger.Error("a record cannot be taken and is kept as a dead letter", "record", f.row.Place, "error", f.err)
		k.metrics.took(t.Topic, api.Taken{Rejected: 1})
	}
	return true, nil
}

// once tries to take rows; a panic of one is an error like another, since it
// would come back at every start.
func (k *Connector) once(ctx context.Context, t Target, rows []api.Row) (err error) {
	ctx, cancel := k.beyond(ctx, 0)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			k.o.Logger.Error("taking records panicked", "topic", t.Topic, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	for part := range slices.Chunk(rows, k.limits.most) {
		taken, err := k.o.Door.Take(ctx, t.Shop, t.What, part)
		if err != nil {
			return err
		}
		k.metrics.took(t.Topic, taken)
	}
	return nil
}

func rowOf(r *Record) api.Row {
	row := api.Row{
		Place: fmt.Sprintf("Kafka %s/%d@%d", r.Topic, r.Partition, r.Offset),
		ID:    idOf(r), Key: r.Key, Value: r.Value,
	}
	if r.Time.UnixMilli() > 0 { // else the record has none
		row.Time = r.Time.UTC().Truncate(time.Millisecond)
	}
	return row
}

// idOf is a record's own id: the same however often it is read, and another one
// for what a topic of the same name has at that place after it was made anew.
func idOf(r *Record) string {
	h := sha256.New()
	var place [20]byte
	binary.BigEndian.PutUint32(place[:], uint32(r.Partition))
	binary.BigEndian.PutUint64(place[4:], uint64(r.Offset))
	binary.BigEndian.PutUint64(place[12:], uint64(r.Time.UnixMilli()))
	for _, b := range [][]byte{[]byte(r.Topic), {0}, place[:], r.Value} {
		h.Write(b)
	}
	return "kafka-" + hex.EncodeToString(h.Sum(nil)[:16])
}
