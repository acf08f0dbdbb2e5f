package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Bytes and requests that wait to be taken in at most.
const (
	fetchBytes     = 8 << 20  // of one answer of a broker
	partitionBytes = 2 << 20  // of one partition in it
	answerBytes    = 64 << 20 // of the largest answer that is read, one record larger than the others
	fetches        = 4        // brokers asked at once
	metadataAge    = 30 * time.Second
)

// cluster is client by franz-go.
type cluster struct {
	kgo   *kgo.Client
	admin *kadm.Client
	flags *Flags
	begin time.Time
	names []string // of topics

	refused atomic.Pointer[error] // why the last connection could not be made; nil: it could
}

// dial makes a client. It connects to nothing yet.
func dial(f *Flags, targets []Target) (*cluster, error) {
	c := &cluster{flags: f}
	for _, t := range targets {
		c.names = append(c.names, t.Topic)
	}
	var err error
	if c.begin, err = f.start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(f.Brokers...), kgo.ClientID("attune"), kgo.ConsumerGroup(f.Group), kgo.ConsumeTopics(c.names...),
		kgo.ConsumeStartOffset(c.offset()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // rather twice than never: what is stored is known
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), // they count in the offsets
		kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(partitionBytes), kgo.BrokerMaxReadBytes(answerBytes), kgo.MaxConcurrentFetches(fetches),
		kgo.MetadataMaxAge(metadataAge), kgo.DisableClientMetrics(), kgo.WithHooks(c),
	}
	certificates, err := f.certificates()
	if err != nil {
		return nil, err
	}
	if certificates != nil {
		options = append(options, kgo.DialTLSConfig(certificates))
	}
	if m := f.mechanism(); m != nil {
		options = append(options, kgo.SASL(m))
	}
	if c.kgo, err = kgo.NewClient(options...); err != nil {
		return nil, err
	}
	c.admin = kadm.NewClient(c.kgo)
	return c, nil
}

func (c *cluster) offset() kgo.Offset {
	switch {
	case c.begin.IsZero():
		return kgo.NewOffset().AtStart()
	case c.begin.Equal(latest):
		return kgo.NewOffset().AtEnd()
	}
	return kgo.NewOffset().AfterMilli(c.begin.UnixMilli())
}

// mechanism is how to log in; nil: not at all.
func (f *Flags) mechanism() sasl.Mechanism {
	hashed := func(context.Context) (scram.Auth, error) {
		secret, err := f.password()
		return scram.Auth{User: f.Username, Pass: secret}, err
	}
	switch f.SASL {
	case "plain":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			secret, err := f.password()
			return plain.Auth{User: f.Username, Pass: secret}, err
		})
	case "scram-sha-256":
		return scram.Sha256(hashed)
	case "scram-sha-512":
		return scram.Sha512(hashed)
	}
	return nil
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (c *cluster) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		c.refused.Store(nil)
	} else if !errors.Is(err, context.Canceled) {
		c.refused.Store(&err)
	}
}

func (c *cluster) poll(ctx context.Context, most int) (records []Record, errs []error) {
	all := c.kgo.PollRecords(ctx, most)
	all.EachError(func(topic string, partition int32, err error) {
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrClientClosed):
		case partition < 0 || topic == "":
			errs = append(errs, c.explain(err))
		default:
			errs = append(errs, fmt.Errorf("%s/%d: %w", topic, partition, c.explain(err)))
		}
	})
	records = make([]Record, 0, all.NumRecords())
	all.EachRecord(func(r *kgo.Record) {
		if r.Attrs.IsControl() {
			return
		}
		records = append(records, Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value})
	})
	return records, errs
}

func (c *cluster) commit(ctx context.Context) error {
	if err := c.kgo.CommitUncommittedOffsets(ctx); err != nil {
		return c.explain(err)
	}
	return nil
}

func (c *cluster) allow() { c.kgo.AllowRebalance() }

func (c *cluster) behind(ctx context.Context) ([]Lag, error) {
	ends, err := c.admin.ListEndOffsets(ctx, c.names...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, c.explain(err)
	}
	starts := kadm.ListedOffsets{}
	switch {
	case c.begin.IsZero():
		starts, err = c.admin.ListStartOffsets(ctx, c.names...)
	case !c.begin.Equal(latest):
		starts, err = c.admin.ListOffsetsAfterMilli(ctx, c.begin.UnixMilli(), c.names...)
	}
	if err != nil {
		return nil, c.explain(err)
	}
	done, err := c.admin.FetchOffsetsForTopics(ctx, c.flags.Group, c.names...)
	if err != nil {
		return nil, c.explain(err)
	}
	var all []Lag
	ends.Each(func(end kadm.ListedOffset) {
		l := Lag{Topic: end.Topic, Partition: end.Partition}
		if at, ok := done.Lookup(end.Topic, end.Partition); ok && at.At >= 0 {
			l.Records = max(0, end.Offset-at.At)
		} else if at, ok := starts.Lookup(end.Topic, end.Partition); ok && at.Err == nil {
			l.Records = max(0, end.Offset-at.Offset)
		}
		all = append(all, l)
	})
	return all, nil
}

func (c *cluster) close(ctx context.Context) {
	c.kgo.AllowRebalance()
	_ = c.kgo.LeaveGroupContext(ctx) // the group notices by itself, later
	c.kgo.Close()
}

// explain says what to do about an error. What a request ended with when no
// connection could be made says less than why none could.
func (c *cluster) explain(err error) error {
	var reply *kerr.Error
	why := c.refused.Load()
	if why != nil && !errors.As(err, &reply) {
		err = *why
	}
	where := strings.Join(c.flags.Brokers, ", ")
	var eof *kgo.ErrFirstReadEOF
	var lost *kgo.ErrDataLoss
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return fmt.Errorf("the brokers do not let %q in: check --kafka-sasl, --kafka-username and the password: %w", c.flags.Username, err)
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return fmt.Errorf("a topic of --kafka-topics is not there: make it, or mend the name: %w", err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed):
		return fmt.Errorf("the brokers do not let this user read a topic of --kafka-topics or group %s: give it the right to: %w", c.flags.Group, err)
	case errors.As(err, &lost):
		return fmt.Errorf("the brokers lost records; what they have is read again: %w", err)
	case errors.As(err, &eof):
		return fmt.Errorf("brokers at %s hang up: check --kafka-tls and --kafka-sasl: %w", where, err)
	case why != nil && !errors.As(err, &reply), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no broker at %s can be reached: do they run, and are --kafka-brokers and --kafka-tls right? %w", where, err)
	}
	return err
}
