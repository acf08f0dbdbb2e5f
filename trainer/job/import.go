package job

// Import brings in what was made elsewhere.
type Import struct {
	Events    ImportEvents    `cmd:"" help:"A file of events into the store, cleaned, with a report."`
	Users     ImportUsers     `cmd:"" help:"A table of users into the store."`
	Items     ImportItems     `cmd:"" help:"A table of items into the store."`
	Dunnhumby ImportDunnhumby `cmd:"" help:"The Complete Journey by dunnhumby into the store: products, households and transactions."`
	Vectors   ImportVectors   `cmd:"" help:"Factors trained elsewhere, as a release."`
}
