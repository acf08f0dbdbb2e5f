package job

import (
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/ingest"
	"github.com/attune-rec/attune/features/store"
)

// ImportAudience brings a partner's list of people into the store. Running it
// again completes an import that was interrupted, and otherwise changes nothing.
type ImportAudience struct {
	recordFlags
	Columns string `required:"" help:"Which column fills which field: email_sha256=Hash,user=CustomerID,device=IDFA, audience=Segment where a column names the list, expires=Until." placeholder:"FIELD=COLUMN,..."`
	Name    string `help:"The list, of rows that do not name one." placeholder:"NAME"`
	Partner string `help:"Who brings it, as profiles will tell; the file's name when not given." placeholder:"NAME"`
	Expires string `help:"The day from whose beginning, UTC, those are no members any more who have no time of their own." placeholder:"YYYY-MM-DD"`
	Replace bool   `help:"Take everybody off the lists who is not in the file."`
}

// Validate implements kong's check.
func (c *ImportAudience) Validate() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	return o.Check()
}

func (c *ImportAudience) options() (o ingest.AudienceOptions, err error) {
	o = ingest.AudienceOptions{Name: c.Name, Partner: c.Partner, Replace: c.Replace}
	o.Shop = features.ShopID(c.Shop)
	if err := o.Shop.Validate(); err != nil {
		return o, err
	}
	if c.Expires != "" {
		if o.Expires, err = time.Parse(time.DateOnly, c.Expires); err != nil {
			return o, fmt.Errorf("--expires is %q: expected a day such as 2027-01-31", c.Expires)
		}
	}
	o.Columns, err = ingest.ParseFields(c.Columns, ingest.AudienceFields())
	return o, err
}

// Run implements the command.
func (c *ImportAudience) Run(env *Env) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	var report ingest.AudienceReport
	return c.read(env, &report, func(src ingest.Source, s *store.Store, p func(ingest.Progress)) (err error) {
		o.Progress = p
		report, err = ingest.Audience(env.Ctx, src, s, o)
		return err
	})
}
