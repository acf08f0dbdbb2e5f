package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/server/kafka"
	"github.com/attune-rec/attune/server/kafka/kafkatest"
)

// fromKafka collects three topics from a broker.
func fromKafka(address string) kafka.Flags {
	return kafka.Flags{
		Brokers: []string{address}, Topics: []string{"clicks=default/events", "goods=default/items", "people=default/users"},
		Group: "attune", Start: "earliest", SASL: "none",
	}
}

// Brokers that are not there keep a server neither from starting nor from
// answering nor from stopping; those who ask are told.
func TestBrokersAway(t *testing.T) {
	cfg := config(stock(t))
	cfg.Kafka = fromKafka("127.0.0.1:1")
	c := start(t, cfg)
	c.collect(t, &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: somebody(1), Item: thing(1)})
	if got := well(t, c.Admin(), "kafka"); got {
		t.Error("got brokers that are well, want them to be missed")
	}
	if got := c.metric(t, "attune_kafka_up"); got != 0 {
		t.Errorf("got attune_kafka_up %v, want 0", got)
	}
	c.stop()
}

// well is what health says of a service.
func well(t *testing.T, admin, service string) bool {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/healthz?service=" + service)
	must(t, err)
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// sums are the sums of the series of a metric by their topic.
func sums(t *testing.T, admin, metric string) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	all := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^`+metric+`\{[^}]*topic="([^"]*)"[^}]*\} (\S+)$`).FindAllStringSubmatch(string(b), -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		must(t, err)
		all[m[1]] += v
	}
	return all
}

// stream is what a shop publishes: events with and without ids, in batches,
// twice, and broken ones.
type stream struct {
	ids    map[string]bool   // that must be stored once
	orders map[string]bool   // of events without an id, likewise
	broken map[string]string // why, by place
}

// record is the n-th of a stream; why is what is wrong with it.
func (s *stream) record(n int) (value, why string) {
	event := func(id, more string) string {
		return fmt.Sprintf(`{%s"type":"EVENT_TYPE_VIEW","user":"%s","item":"%s"%s}`, id, somebody(n%shoppers), thing(n%things), more)
	}
	known := func(n int) string {
		id := fmt.Sprintf("k-%d", n)
		s.ids[id] = true
		return fmt.Sprintf(`"id":"%s",`, id)
	}
	switch n % 50 {
	case 10:
		return `{"id":"broken`, ""
	case 20:
		return event("", `,"itme":1`), `unknown field "itme"`
	case 30:
		return `{"type":"EVENT_TYPE_VIEW","user":"u"}`, "item must be given"
	case 40:
		return event("", `,"time":"2001-01-01T00:00:00Z"`), "expected a time within"
	case 5, 15, 25:
		return event(known(n-1), ""), "" // again, in another partition
	case 35:
		return `{"events":[` + event(known(n), "") + `,` + event(known(n+1_000_000), "") + `]}`, ""
	case 7, 17, 27, 37, 47:
		order := fmt.Sprintf("order-%d", n)
		s.orders[order] = true
		return event("", fmt.Sprintf(`,"order":"%s"`, order)), ""
	}
	return event(known(n), ""), ""
}

// publish sends the records from to to, to all partitions in turn.
func (s *stream) publish(t *testing.T, c *kgo.Client, from, to int) {
	t.Helper()
	const atOnce = 100
	for from < to {
		var all []*kgo.Record
		var whys []string
		var bad []bool
		for ; from < to && len(all) < atOnce; from++ {
			value, why := s.record(from)
			all = append(all, &kgo.Record{Topic: "clicks", Partition: int32(len(all) % 6), Value: []byte(value)})
			whys, bad = append(whys, why), append(bad, from%50 == 10 || why != "")
		}
		for _, r := range c.ProduceSync(context.Background(), all...) {
			must(t, r.Err)
		}
		for i, r := range all {
			if bad[i] {
				s.broken[fmt.Sprintf("CollectKafka clicks/%d@%d", r.Partition, r.Offset)] = whys[i]
			}
		}
	}
}

// A server that collects from Kafka is killed three times in the middle, and the
// broker once. In the end everything that was published is stored once, what was
// broken is a dead letter with its place and reason, and nothing is left to read.
func TestKafkaKilled(t *testing.T) {
	const total = 20_000
	b := kafkatest.Start(t, "")
	producer, err := kgo.NewClient(kgo.SeedBrokers(b.Address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	must(t, err)
	defer producer.Close()
	for topic, partitions := range map[string]int32{"clicks": 6, "goods": 1, "people": 1} {
		_, err := kadm.NewClient(producer).CreateTopic(context.Background(), partitions, 1, nil, topic)
		must(t, err)
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 4))
	s := &stream{ids: map[string]bool{}, orders: map[string]bool{}, broken: map[string]string{}}
	began := time.Now()
	const quarters = 4
	left := 0
	for q := range quarters {
		first := startChild(t, dir, childKafka+"="+b.Address)
		published := make(chan struct{})
		go func() {
			defer close(published)
			s.publish(t, producer, q*total/quarters, (q+1)*total/quarters)
		}()
		eventually(t, "records are taken", func() bool { return sums(t, first.admin, "attune_kafka_records_total")["clicks"] > 0 })
		if q == quarters-1 {
			b.Kill()
			eventually(t, "the broker is missed", func() bool { return !well(t, first.admin, "kafka") })
			b.Start(t)
			<-published
			things := []*kgo.Record{
				{Topic: "goods", Value: []byte(`{"items":[{"id":"g1","title":"one"},{"id":"g2","title":"two"}]}`)},
				{Topic: "goods", Value: []byte(`{"item":{"id":"g1","title":"uno"},"update_mask":"title"}`)},
				{Topic: "goods", Key: []byte("g2")}, {Topic: "goods", Value: []byte(`{"id":""}`)},
				{Topic: "people", Value: []byte(`{"id":"p1","market":"DE"}`)},
			}
			for _, r := range producer.ProduceSync(context.Background(), things...) {
				must(t, r.Err)
			}
			s.broken["UpsertItemKafka goods/0@3"] = "id"
			finish(t, first)
			first.kill()
			break
		}
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		first.kill()
		<-published
		left += behind(t, producer)
	}
	if left == 0 {
		t.Error("got nothing left to read after any kill, want it to be in the middle")
	}
	s.check(t, dir)
	figure(t, "kafka: %d records in 6 partitions, 3 kill -9 of the server (%d records not committed after them) and one of the broker: %d events of %d with ids and %d without stored, 0 lost, 0 doubled, %d dead letters, lag 0, in %v",
		total, left, len(s.ids)+len(s.orders), len(s.ids), len(s.orders), len(s.broken), time.Since(began).Round(time.Second))
}

// behind is how many records of clicks are not committed.
func behind(t *testing.T, c *kgo.Client) (n int) {
	t.Helper()
	admin := kadm.NewClient(c)
	ends, err := admin.ListEndOffsets(context.Background(), "clicks")
	must(t, err)
	done, err := admin.FetchOffsetsForTopics(context.Background(), "attune", "clicks")
	must(t, err)
	ends.Each(func(end kadm.ListedOffset) {
		at, _ := done.Lookup(end.Topic, end.Partition)
		n += int(end.Offset - max(0, at.At))
	})
	return n
}

// finish waits until nothing is left to read, and looks at what came of items
// and users.
func finish(t *testing.T, c *child) {
	t.Helper()
	eventually(t, "nothing is left to read", func() bool {
		lag := sums(t, c.admin, "attune_kafka_lag")
		taken := sums(t, c.admin, "attune_kafka_records_total")
		return well(t, c.admin, "kafka") && len(lag) == 3 && lag["clicks"]+lag["goods"]+lag["people"] == 0 && taken["goods"] == 4 && taken["people"] == 1
	})
	catalog := attunev1.NewCatalogServiceClient(c.conn)
	if it, err := catalog.GetItem(context.Background(), &attunev1.GetItemRequest{Id: "g1"}); err != nil || it.GetTitle() != "uno" {
		t.Errorf("got %v, %v, want the item as it was changed", it, err)
	}
	if it, err := catalog.GetItem(context.Background(), &attunev1.GetItemRequest{Id: "g2"}); err == nil {
		t.Errorf("got %v, want the item deleted", it)
	}
	if u, err := attunev1.NewUserServiceClient(c.conn).GetUser(context.Background(), &attunev1.GetUserRequest{Id: "p1"}); err != nil || u.GetMarket() != "DE" {
		t.Errorf("got %v, %v, want the user", u, err)
	}
}

// check holds the store against what was published.
func (s *stream) check(t *testing.T, dir string) {
	t.Helper()
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	ids, orders := map[string]int{}, map[string]int{}
	must(t, st.Scan(context.Background(), shop, 1, 0, func(e *features.Event) error {
		if e.Order != "" {
			orders[e.Order]++
		} else {
			ids[e.ID]++
		}
		return nil
	}))
	for what, x := range map[string]struct {
		want map[string]bool
		got  map[string]int
	}{"with ids": {s.ids, ids}, "without": {s.orders, orders}} {
		lost, doubled := 0, 0
		for id := range x.want {
			switch n := x.got[id]; {
			case n == 0:
				lost++
			case n > 1:
				doubled++
			}
		}
		if lost+doubled > 0 || len(x.got) != len(x.want) {
			t.Errorf("events %s: got %d, %d lost and %d doubled, want the %d once", what, len(x.got), lost, doubled, len(x.want))
		}
	}
	seen := map[string]bool{}
	for after := int64(0); ; {
		letters, err := st.ListDead(context.Background(), shop, after, 500)
		must(t, err)
		if len(letters) == 0 {
			break
		}
		for _, l := range letters {
			after = l.ID
			why, ok := s.broken[l.Source]
			if !ok || seen[l.Source] || l.Reason == "" || !strings.Contains(l.Reason, why) {
				t.Errorf("got letter %s: %s, want one for each broken record, with %q", l.Source, l.Reason, why)
			}
			seen[l.Source] = true
		}
	}
	if len(seen) != len(s.broken) {
		t.Errorf("got %d letters, want %d", len(seen), len(s.broken))
	}
}
