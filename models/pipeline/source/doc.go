// Package source has the sources of candidates, one to a file, and Build, which
// makes the one a recipe names.
//
// It imports models/pipeline and what lies below. Start reading at build.go.
package source
