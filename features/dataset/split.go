package dataset

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/attune-rec/attune/features"
)

// Split is a dataset in parts that share one list of users and of items, those
// never seen in training included.
type Split struct {
	Train     *Dataset
	Validate  *Dataset   // nil: none
	Test      *Dataset   // nil: none
	Negatives *Negatives // nil: the whole catalogue is ranked
	Remarks   []string   // what a reader of the results should know
}

// Method is how interactions are parted.
type Method string

// The methods. In each, users keep their order of time.
const (
	Given        Method = "given"         // the files are the parts
	LeaveOneOut  Method = "leave-one-out" // a user's last is test, the one before validation; users with fewer than 3 only train
	LastPositive Method = "last-positive" // a user's latest rating of Positive and more is test
	Temporal     Method = "temporal"      // the last TestDays are test
	Random       Method = "random"        // a share of all interactions is test
	NewItems     Method = "new-items"     // all interactions with a share of the items are test: nobody has met them
)

// Methods lists them.
func Methods() []Method {
	return []Method{Given, LeaveOneOut, LastPositive, Temporal, Random, NewItems}
}

// Cut says how to part a dataset.
type Cut struct {
	Method   Method
	TestDays float64 // of Temporal; 30 when 0
	Positive float32 // of LastPositive; 4 when 0
	Share    float64 // of Random and NewItems; .2 when 0
	Seed     uint64
}

// The labels of interactions while they are parted.
const (
	inTrain uint8 = iota
	inValidate
	inTest
)

// Part parts d.
func Part(d *Dataset, c Cut) (*Split, error) {
	labels := make([]uint8, len(d.Log))
	switch c.Method {
	case LeaveOneOut:
		d = d.numbered() // the split takes the order for time, and so may models
		leaveOneOut(d, labels)
	case LastPositive:
		if err := lastPositive(d, labels, orElse(c.Positive, 4)); err != nil {
			return nil, err
		}
	case Temporal:
		if err := lastDays(d, labels, orElse(c.TestDays, 30), inTest); err != nil {
			return nil, err
		}
	case Random, NewItems:
		share := orElse(c.Share, .2)
		if !(share > 0 && share < 1) {
			return nil, fmt.Errorf("share of test is %v: expected above 0 and below 1", share)
		}
		rng := rand.New(rand.NewPCG(c.Seed, 0x5eed))
		if c.Method == NewItems {
			newItems(d, labels, share, rng)
			break
		}
		for i := range labels {
			if rng.Float64() < share {
				labels[i] = inTest
			}
		}
	default:
		return nil, fmt.Errorf("cannot part one file by method %q: expected one of %v", c.Method, Methods()[1:])
	}
	s := &Split{Train: d.only(labels, inTrain), Test: d.only(labels, inTest)}
	if slices.Contains(labels, inValidate) {
		s.Validate = d.only(labels, inValidate)
	}
	if len(s.Test.Log) == 0 {
		return nil, fmt.Errorf("split %s leaves no test interaction of %d: is the method right for this data?", c.Method, len(d.Log))
	}
	return s, nil
}

// newItems makes test of the interactions with a share of the items.
func newItems(d *Dataset, labels []uint8, share float64, rng *rand.Rand) {
	fresh := make([]bool, d.NumItems())
	for i := range fresh {
		fresh[i] = rng.Float64() < share
	}
	for i := range d.Log {
		if fresh[d.Log[i].Row] {
			labels[i] = inTest
		}
	}
}

func orElse[T float32 | float64](v, other T) T {
	if v == 0 {
		return other
	}
	return v
}

func leaveOneOut(d *Dataset, labels []uint8) {
	for u := range d.Users {
		if end := d.Ptr[u+1]; end-d.Ptr[u] >= 3 {
			labels[end-1], labels[end-2] = inTest, inValidate
		}
	}
}

func lastPositive(d *Dataset, labels []uint8, positive float32) error {
	rated := false
	for u := range d.Users {
		for i := d.Ptr[u+1] - 1; i >= d.Ptr[u]; i-- {
			if it := &d.Log[i]; it.Type == features.Rating {
				rated = true
				if it.Value >= positive {
					labels[i] = inTest
					break
				}
			}
		}
	}
	if !rated {
		return fmt.Errorf("split %s needs ratings, and there is none: give them as the third field of pairs", LastPositive)
	}
	return nil
}

func lastDays(d *Dataset, labels []uint8, days float64, label uint8) error {
	last := d.LastTimeMS()
	if !d.Clocked() {
		return fmt.Errorf("split %s needs times, and there is none: give them as the fourth field of pairs, or name the column of events", Temporal)
	}
	from := last - int64(days*24*60*60*1000)
	for i := range d.Log {
		if d.Log[i].TimeMS > from {
			labels[i] = label
		}
	}
	return nil
}

// Hold is how interactions are held out of training for validation.
type Hold struct {
	By    string  // "random": seeded, over all; "newest": of each user's own; "days": the last ones
	Share float64 // of random and newest, above 0 and below 1
	Days  float64 // of days
	Seed  uint64
}

// HoldOut parts d into what stays for training and what is held out. A user
// keeps at least one interaction for training under random and newest.
func HoldOut(d *Dataset, h Hold) (train, validate *Dataset, err error) {
	labels := make([]uint8, len(d.Log))
	switch h.By {
	case "random", "newest":
		if !(h.Share > 0 && h.Share < 1) {
			return nil, nil, fmt.Errorf("share to hold out is %v: expected above 0 and below 1", h.Share)
		}
		rng := rand.New(rand.NewPCG(h.Seed, 0xb01d))
		for u := range d.Users {
			mine := labels[d.Ptr[u]:d.Ptr[u+1]]
			if h.By == "newest" {
				n := int(h.Share*float64(len(mine)) + rng.Float64()) // the rounding is by chance, so that short histories take part
				for i := range min(n, len(mine)-1) {
					mine[len(mine)-1-i] = inValidate
				}
				continue
			}
			held := 0
			for i := range mine {
				if rng.Float64() < h.Share && held < len(mine)-1 {
					mine[i] = inValidate
					held++
				}
			}
		}
	case "days":
		if !(h.Days > 0) {
			return nil, nil, fmt.Errorf("days to hold out are %v: expected above 0", h.Days)
		}
		if err := lastDays(d, labels, h.Days, inValidate); err != nil {
			return nil, nil, err
		}
	default:
		return nil, nil, fmt.Errorf("hold out by %q: expected random, newest or days", h.By)
	}
	train, validate = d.only(labels, inTrain), d.only(labels, inValidate)
	if len(train.Log) == 0 || len(validate.Log) == 0 {
		return nil, nil, fmt.Errorf("holding out by %s parts %d interactions into %d and %d: expected some in both", h.By, len(d.Log), len(train.Log), len(validate.Log))
	}
	return train, validate, nil
}

// only is d with the interactions that bear label.
func (d *Dataset) only(labels []uint8, label uint8) *Dataset {
	n := 0
	for _, l := range labels {
		if l == label {
			n++
		}
	}
	return d.keep(n, func(_ int, i int64) bool { return labels[i] == label })
}

// Keep is d with the interactions for which keep returns true, given the user
// and the place in Log. Users, items, markets and catalogue are shared.
func (d *Dataset) Keep(keep func(user int, at int64) bool) *Dataset { return d.keep(0, keep) }

// keep is Keep where about n interactions are expected.
func (d *Dataset) keep(n int, keep func(user int, at int64) bool) *Dataset {
	out := *d
	out.Ptr, out.Log, out.Market = make([]int64, len(d.Users)+1), make([]features.Interaction, 0, n), nil
	if d.Market != nil {
		out.Market = make([]uint16, 0, n)
	}
	for u := range d.Users {
		for i := d.Ptr[u]; i < d.Ptr[u+1]; i++ {
			if keep(u, i) {
				out.Log = append(out.Log, d.Log[i])
				if d.Market != nil {
					out.Market = append(out.Market, d.Market[i])
				}
			}
		}
		out.Ptr[u+1] = int64(len(out.Log))
	}
	return &out
}

// Without is d less the pairs of user and item that o has.
func (d *Dataset) Without(o *Dataset) *Dataset {
	var rows []features.Row
	at := -1
	return d.Keep(func(u int, i int64) bool {
		if u != at {
			at, rows = u, rows[:0]
			for _, it := range o.History(u) {
				rows = append(rows, it.Row)
			}
			slices.Sort(rows)
		}
		_, found := slices.BinarySearch(rows, d.Log[i].Row)
		return !found
	})
}

// Join is the interactions of a and b, which share users and items: by user, by
// time where all have one, else a's before b's.
func Join(a, b *Dataset) *Dataset {
	out := *a
	out.Ptr = make([]int64, len(a.Users)+1)
	out.Log = make([]features.Interaction, 0, len(a.Log)+len(b.Log))
	out.Market = nil
	if b.Manners != nil {
		out.Manners = slices.Clone(b.Manners)
		for u := range a.Manners {
			if a.Manners[u] != (Manner{}) {
				out.Manners[u] = a.Manners[u]
			}
		}
	}
	markets := a.Market != nil && b.Market != nil
	for u := range a.Users {
		start := len(out.Log)
		out.Log = append(append(out.Log, a.History(u)...), b.History(u)...)
		h := byTime{log: out.Log[start:]}
		if markets {
			out.Market = append(append(out.Market, a.Market[a.Ptr[u]:a.Ptr[u+1]]...), b.Market[b.Ptr[u]:b.Ptr[u+1]]...)
			h.market = out.Market[start:]
		}
		if !slices.ContainsFunc(h.log, func(it features.Interaction) bool { return it.TimeMS == 0 }) && !sort.IsSorted(h) {
			sort.Stable(h)
		}
		out.Ptr[u+1] = int64(len(out.Log))
	}
	return &out
}
