package kafka

import (
	"context"
	"sync"
	"time"
)

// state is what was last said of the cluster.
type state struct {
	mu    sync.Mutex
	known bool // whether well was ever said
	well  bool
	said  map[string]remark // of which trouble what was logged last
}

type remark struct {
	at   time.Time
	text string
}

// watch asks the brokers now and then how far the group is, and says when they
// begin or cease to answer, be it that a topic is not there.
func (k *Connector) watch(ctx context.Context) {
	tick := time.NewTicker(k.limits.look)
	defer tick.Stop()
	for {
		k.lookOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (k *Connector) lookOnce(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, 2*k.limits.look)
	defer cancel()
	all, err := k.client.behind(asking)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		k.answers(false)
		k.trouble("brokers", err)
	default:
		k.metrics.lags(all)
		k.answers(true)
	}
}

// answers notes whether the brokers do.
func (k *Connector) answers(well bool) {
	k.state.mu.Lock()
	changed := !k.state.known || k.state.well != well
	k.state.known, k.state.well = true, well
	if well {
		delete(k.state.said, "brokers")
	}
	k.state.mu.Unlock()
	if !changed {
		return
	}
	k.metrics.up(well)
	k.o.Health(well)
	if well {
		k.o.Logger.Info("kafka: the topics are collected", "brokers", k.o.Flags.Brokers, "group", k.o.Flags.Group, "topics", k.o.Flags.Topics)
	}
}

// trouble counts an error, and logs it unless one of its kind was logged lately:
// the same a minute ago, or another some seconds ago.
func (k *Connector) trouble(what string, err error) {
	k.metrics.failed(what)
	now := remark{time.Now(), err.Error()}
	k.state.mu.Lock()
	last, again := k.state.said[what]
	wait := k.limits.remind
	if last.text != now.text {
		wait /= 10
	}
	silent := again && now.at.Sub(last.at) < wait
	if !silent {
		if k.state.said == nil {
			k.state.said = map[string]remark{}
		}
		k.state.said[what] = now
	}
	k.state.mu.Unlock()
	if !silent {
		k.o.Logger.Warn("kafka: "+troubles[what]+"; it is tried again", "group", k.o.Flags.Group, "error", err)
	}
}

// troubles says what each kind is.
var troubles = map[string]string{ //nolint:gochecknoglobals // a table
	"brokers": "nothing is collected",
	"fetch":   "records cannot be read",
	"store":   "records cannot be stored",
	"commit":  "what was read cannot be noted in Kafka",
}
