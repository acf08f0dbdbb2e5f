package job

import (
	"errors"
	"os"

	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
)

// Import brings in what was made elsewhere.
type Import struct {
	Events    ImportEvents    `cmd:"" help:"A file of events into the store, cleaned, with a report."`
	Users     ImportUsers     `cmd:"" help:"A table of users into the store."`
	Items     ImportItems     `cmd:"" help:"A table of items into the store."`
	Audience  ImportAudience  `cmd:"" help:"A partner's list of people into the store: hashed e-mails, user ids or devices."`
	Dunnhumby ImportDunnhumby `cmd:"" help:"The Complete Journey by dunnhumby into the store: products, households and transactions."`
	Vectors   ImportVectors   `cmd:"" help:"Factors trained elsewhere, as a release."`
}

// importInto calls f with a file of text in an encoding, or one that is fetched
// from an address, opened as a source, and the store in the data directory, which
// is closed afterwards.
func importInto(env *Env, file, encoding, data string, f func(ingest.Source, *store.Store) error) (err error) {
	if isFeed(file) {
		dir, mkErr := os.MkdirTemp("", "attune-feed-")
		if mkErr != nil {
			return mkErr
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		bar := env.Progress("fetch the feed")
		file, err = fetchFeed(env.Ctx, file, dir)
		bar.Done()
		if err != nil {
			return err
		}
	}
	src, err := ingest.File(file, ingest.Format{Encoding: encoding})
	if err != nil {
		return err
	}
	s, err := store.Open(env.Ctx, store.Options{Dir: data, Logger: env.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(src, s)
}
