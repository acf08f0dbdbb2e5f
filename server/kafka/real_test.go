package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/attune-rec/attune/server/kafka/kafkatest"
)

// live is a connector of a real cluster that runs.
type live struct {
	*Connector
	stop func() // and waits
}

func collect(t *testing.T, f Flags, d Door) *live {
	t.Helper()
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	k, err := New(Options{Flags: f, Door: d, Grace: 20 * time.Second, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil)), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	k.limits.look, k.limits.most = time.Second, 100
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	r := &live{Connector: k, stop: func() { cancel(); <-done }}
	t.Cleanup(r.stop)
	return r
}

// testLog writes to the test's.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// produce makes a topic of so many partitions, unless there is one, and sends
// values to all in turn.
func produce(t *testing.T, address, topic string, partitions int32, values ...string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	made, err := kadm.NewClient(c).CreateTopic(ctx, partitions, 1, nil, topic)
	if err != nil && !strings.Contains(fmt.Sprint(err, made.Err), "TOPIC_ALREADY_EXISTS") {
		t.Fatal(err)
	}
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, kgo.StringRecord(v))
	}
	if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func lag(k *Connector, topic string, partitions int32) (n int64, known bool) {
	all, err := k.client.behind(context.Background())
	for _, l := range all {
		if l.Topic == topic {
			n += l.Records
			partitions--
		}
	}
	return n, err == nil && partitions == 0
}

// Members of a group come and go, and a topic is made late; nothing is lost, and
// once all is read there is no lag. Wrong names and passwords are said.
func TestKafkaCluster(t *testing.T) {
	dir := t.TempDir()
	b := kafkatest.Start(t, certificate(t, dir))
	flags := Flags{Brokers: []string{b.Address}, Topics: []string{"clicks=default/events"}, Group: "shared", Start: "earliest", SASL: "none"}
	d := newDoor()
	first := collect(t, flags, d)
	eventually(t, "it is said that the topic is not there", func() bool {
		_, err := first.client.behind(context.Background())
		return err != nil && strings.Contains(err.Error(), "--kafka-topics")
	})
	produce(t, b.Address, "clicks", 4, values(0, 2000)...)
	second := collect(t, flags, d)
	produce(t, b.Address, "clicks", 4, values(2000, 4000)...)
	eventually(t, "all is stored", func() bool { return d.count() == 4000 })
	shares := func() (a, b float64) {
		return number(t, first.metrics.records.WithLabelValues("clicks")), number(t, second.metrics.records.WithLabelValues("clicks"))
	}
	before, _ := shares()
	sent := 4000
	eventually(t, "both members are given records", func() bool {
		produce(t, b.Address, "clicks", 4, values(sent, sent+40)...)
		sent += 40
		one, two := shares()
		return one > before && two > 0
	})
	first.stop()
	produce(t, b.Address, "clicks", 4, values(sent, sent+1000)...)
	sent += 1000
	eventually(t, "what one member left the other takes", func() bool { return d.count() == sent })
	eventually(t, "nothing is left to read", func() bool {
		n, known := lag(second.Connector, "clicks", 4)
		return known && n == 0
	})
	second.stop()

	secure := flags
	secure.Brokers, secure.CA, secure.SASL, secure.Username = []string{b.Secure}, filepath.Join(dir, "cert.pem"), "scram-sha-512", kafkatest.User
	secure.PasswordFile = filepath.Join(dir, "password")
	write(t, secure.PasswordFile, "wrong\n")
	secure.Group = "secure"
	hashed := collect(t, secure, newDoor())
	eventually(t, "a wrong password is said", func() bool {
		_, err := hashed.client.behind(context.Background())
		return err != nil && strings.Contains(err.Error(), "do not let \"attune\" in")
	})
	write(t, secure.PasswordFile, kafkatest.Password+"\n")
	eventually(t, "all is read by TLS once the file has the right password", func() bool {
		return number(t, hashed.metrics.records.WithLabelValues("clicks")) == float64(sent)
	})
	hashed.stop()
	secure.SASL, secure.Password, secure.PasswordFile, secure.Group = "plain", kafkatest.Password, "", "plain"
	secure.Start = "latest"
	plain := collect(t, secure, newDoor())
	eventually(t, "the end is read", func() bool {
		produce(t, b.Address, "clicks", 4, values(sent, sent+40)...)
		sent += 40
		return number(t, plain.metrics.records.WithLabelValues("clicks")) > 0
	})
	plain.stop()
	if got := number(t, plain.metrics.records.WithLabelValues("clicks")); got >= float64(sent-40) {
		t.Errorf("from the end: got %v of %d records, want those alone that came later", got, sent)
	}
	plaintext := secure
	plaintext.CA = ""
	plaintext.Group = "plaintext"
	wrong := collect(t, plaintext, newDoor())
	eventually(t, "missing TLS is said", func() bool {
		_, err := wrong.client.behind(context.Background())
		return err != nil && strings.Contains(err.Error(), "--kafka-tls")
	})
	wrong.stop()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
