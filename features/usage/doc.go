// Package usage tells what the process has used of the machine.
//
// It imports the standard library only.
package usage
