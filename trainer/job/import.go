package job

// Import brings in what was made elsewhere.
type Import struct {
	Events  ImportEvents  `cmd:"" help:"A file of events into the store, cleaned, with a report."`
	Vectors ImportVectors `cmd:"" help:"Factors trained elsewhere, as a release."`
}
