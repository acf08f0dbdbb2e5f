// Package job holds the trainer's commands, one a file. A command is a struct
// whose tagged fields are its flags (github.com/alecthomas/kong) and whose
// method Run(ctx, out) does the work: it writes its result to out, as text or,
// with --json, as JSON, and returns an error that says what to mend. Commands
// share nothing but the small files input.go and memory_*.go.
package job
