package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func values(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint("value ", i))
	}
	return all
}

// Everything is taken once, in the end also when the store fails, commits fail
// and the brokers go away meanwhile.
func TestNothingIsLost(t *testing.T) {
	b, d := newBroker(), newDoor()
	b.send("clicks", 0, values(0, 100)...)
	b.send("clicks", 1, values(100, 150)...)
	b.send("goods", 0, values(150, 160)...)
	d.set(func(d *door) { d.fails = 5 })
	b.set(func(b *broker) { b.commits = 3 })
	r := run(t, b, d)
	eventually(t, "all is stored", func() bool { return d.count() == 160 })
	eventually(t, "all is committed", func() bool { return b.lag() == 0 })
	b.set(func(b *broker) { b.down = true })
	eventually(t, "the trouble is seen", func() bool { return number(t, r.metrics.well) == 0 })
	b.send("clicks", 0, values(160, 200)...)
	b.set(func(b *broker) { b.down = false })
	eventually(t, "what came meanwhile is stored", func() bool { return d.count() == 200 && b.lag() == 0 })
	eventually(t, "the brokers answer", func() bool { return number(t, r.metrics.well) == 1 })
	r.stop()
	if got := number(t, r.metrics.records.WithLabelValues("clicks")); got != 190 {
		t.Errorf("got %v records of clicks, want 190", got)
	}
	if got := d.stored[idOf(&b.log["goods/0"][0])]; got != "other/items value 150" {
		t.Errorf("got %q, want the value as an item of its shop", got)
	}
	if well := <-r.well; !well {
		t.Error("got brokers that do not answer first, want that they do")
	}
	if well := <-r.well; well {
		t.Error("got brokers that answer, want to be told that they do not")
	}
}

// Offsets are committed after the store has taken the records, and never before:
// one that never takes them leaves the offsets alone, and the next member of the
// group reads the same again.
func TestCommittedIsDurable(t *testing.T) {
	b, d := newBroker(), newDoor()
	b.send("clicks", 0, values(0, 20)...)
	d.set(func(d *door) { d.fails = 1 << 30 })
	r := run(t, b, d)
	eventually(t, "the store fails", func() bool { return number(t, r.metrics.errors.WithLabelValues("store")) > 3 })
	r.stop()
	if b.lag() != 20 {
		t.Fatalf("got %d records not committed, want all 20", b.lag())
	}
	b.set(func(b *broker) { b.commits = 1 << 30 }) // taken, but nobody notes it
	d.set(func(d *door) { d.fails = 0 })
	r = run(t, b, d)
	eventually(t, "all is stored", func() bool { return d.count() == 20 })
	r.stop()
	if b.lag() != 20 {
		t.Fatalf("got %d records not committed, want all 20", b.lag())
	}
	b.set(func(b *broker) { b.commits = 0 })
	r = run(t, b, d)
	eventually(t, "all is committed", func() bool { return b.lag() == 0 })
	r.stop()
	if d.count() != 20 {
		t.Errorf("got %d, want the 20 once", d.count())
	}
	for place, n := range d.calls {
		if n != 2 {
			t.Errorf("%s: got %d times, want 2", place, n)
		}
	}
	if got := number(t, r.metrics.rows.WithLabelValues("clicks", duplicate)); got != 20 {
		t.Errorf("got %v duplicates, want 20", got)
	}
}

// A record that the door cannot take for reasons of its own is kept aside, and
// the others are taken; when nothing can be taken, nothing is kept aside.
func TestPoisonIsKeptAside(t *testing.T) {
	b, d := newBroker(), newDoor()
	d.poison["value 3"], d.poison["value 8"] = "disagrees with the disk", "panic"
	b.send("clicks", 0, values(0, 20)...)
	r := run(t, b, d)
	eventually(t, "all is committed", func() bool { return b.lag() == 0 })
	if d.count() != 18 || len(d.buried) != 2 {
		t.Errorf("got %d stored and %v buried, want 18 and the two", d.count(), d.buried)
	}
	if why := d.buried["value 3"]; why == nil || why.Error() != "disagrees with the disk" {
		t.Errorf("got %v, want the reason", why)
	}
	if got := number(t, r.metrics.rows.WithLabelValues("clicks", rejected)); got != 2 {
		t.Errorf("got %v rejected, want 2", got)
	}
	d.set(func(d *door) { d.fails, d.lasting = 200, errors.New("disk I/O error") })
	b.send("clicks", 0, values(20, 25)...)
	eventually(t, "all is committed", func() bool { return b.lag() == 0 })
	r.stop()
	if d.count() != 23 || len(d.buried) != 2 {
		t.Errorf("a store that is ill: got %d stored and %v buried, want 23 and the two of before", d.count(), d.buried)
	}
}

// A record's id is the same at each reading, and none but its own.
func TestIDs(t *testing.T) {
	r := Record{Topic: "clicks", Partition: 1, Offset: 2, Time: time.UnixMilli(3), Value: []byte("{}")}
	seen := map[string]bool{idOf(&r): true}
	if again := r; !seen[idOf(&again)] || len(idOf(&r)) > 64 {
		t.Errorf("got %s, want the same as before, of at most 64 bytes", idOf(&again))
	}
	for name, change := range map[string]func(*Record){
		"topic": func(r *Record) { r.Topic = "click" }, "partition": func(r *Record) { r.Partition++ }, "offset": func(r *Record) { r.Offset++ },
		"time": func(r *Record) { r.Time = r.Time.Add(time.Millisecond) }, "value": func(r *Record) { r.Value = []byte("[]") },
	} {
		other := r
		if change(&other); seen[idOf(&other)] {
			t.Errorf("another %s: got the same id", name)
		}
		seen[idOf(&other)] = true
	}
}

func TestFlags(t *testing.T) {
	good := func() Flags {
		return Flags{Brokers: []string{"127.0.0.1:9092"}, Topics: []string{"a.b-c_d=default/events", "goods=other/items"}, Group: "g", Start: "earliest", SASL: "none"}
	}
	for name, c := range map[string]struct {
		change func(*Flags)
		want   string // begins the error; "": none
	}{
		"as it is":        {func(*Flags) {}, ""},
		"none":            {func(f *Flags) { *f = Flags{} }, ""},
		"no brokers":      {func(f *Flags) { f.Brokers = nil }, "brokers: expected HOST:PORT"},
		"no port":         {func(f *Flags) { f.Brokers = []string{"kafka"} }, `brokers: expected HOST:PORT, such as kafka-1:9092: got "kafka"`},
		"no topics":       {func(f *Flags) { f.Topics = nil }, "topics: expected what to collect"},
		"no kind":         {func(f *Flags) { f.Topics = []string{"a=default"} }, "topics: expected TOPIC=SHOP/KIND"},
		"a strange topic": {func(f *Flags) { f.Topics = []string{"a b=default/events"} }, "topics: expected TOPIC=SHOP/KIND"},
		"a strange kind":  {func(f *Flags) { f.Topics = []string{"a=default/clicks"} }, `topics: "a=default/clicks": expected events, items or users: got "clicks"`},
		"a strange shop":  {func(f *Flags) { f.Topics = []string{"a=My Shop/events"} }, "topics:"},
		"a topic twice":   {func(f *Flags) { f.Topics = []string{"a=default/events", "a=other/events"} }, "topics: topic a stands there twice"},
		"no group":        {func(f *Flags) { f.Group = "" }, "group:"},
		"a time":          {func(f *Flags) { f.Start = "2026-11-01T00:00:00Z" }, ""},
		"latest":          {func(f *Flags) { f.Start = "latest" }, ""},
		"no time":         {func(f *Flags) { f.Start = "yesterday" }, "start: expected earliest, latest or a time"},
		"no authorities":  {func(f *Flags) { f.CA = "/no/such/file" }, "ca:"},
		"half a pair":     {func(f *Flags) { f.Cert = "c.pem" }, "cert, --kafka-key:"},
		"no user":         {func(f *Flags) { f.SASL, f.Password = "plain", "p" }, "username:"},
		"no password":     {func(f *Flags) { f.SASL, f.Username = "plain", "u" }, "password, --kafka-password-file:"},
		"two passwords":   {func(f *Flags) { f.SASL, f.Username, f.Password, f.PasswordFile = "plain", "u", "p", "f" }, "password, --kafka-password-file:"},
		"no such file":    {func(f *Flags) { f.SASL, f.Username, f.PasswordFile = "plain", "u", "/no/such/file" }, "password-file:"},
		"no SASL":         {func(f *Flags) { f.Username = "u" }, "sasl: expected plain"},
		"near in plain":   {func(f *Flags) { f.SASL, f.Username, f.Password = "plain", "u", "p" }, ""},
		"far in plain":    {func(f *Flags) { f.Brokers, f.SASL, f.Username, f.Password = []string{"k:1"}, "plain", "u", "p" }, "sasl: plain would send the password readable by others"},
		"far, hashed":     {func(f *Flags) { f.Brokers, f.SASL, f.Username, f.Password = []string{"k:1"}, "scram-sha-512", "u", "p" }, ""},
	} {
		f := good()
		c.change(&f)
		err := f.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
