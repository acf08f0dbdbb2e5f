package linalg

import (
	"log/slog"
	"os"
)

// Env names the environment variable that forces an instruction set: avx512, avx2 or generic. One
// that the machine lacks gives way to the best below it, with a warning in the log.
const Env = "ATTUNE_CPU"

// level is an instruction set; a higher one is preferred.
type level int

const (
	generic level = iota
	avx2          // AVX2, FMA and BMI2
	avx512        // AVX-512 F, BW, DQ, VL and VNNI
)

var levelNames = [...]string{generic: "generic", avx2: "avx2", avx512: "avx512"}

// active is what the kernels of this process run on. It is set once, before main; tests replace it
// while no kernel runs.
var active = choose(os.Getenv(Env), best(), slog.Default())

// ISA returns the name of the instruction set in use: avx512, avx2 or generic.
func ISA() string { return levelNames[active] }

// choose returns the level that was asked for by name, top for an empty name, and never one above top.
func choose(name string, top level, log *slog.Logger) level {
	if name == "" {
		return top
	}
	for l, n := range levelNames {
		if n != name {
			continue
		}
		if level(l) > top {
			log.Warn("instruction set not available on this machine", "variable", Env, "asked", name, "used", levelNames[top])
			return top
		}
		return level(l)
	}
	log.Warn("unknown instruction set, want avx512, avx2 or generic", "variable", Env, "asked", name, "used", levelNames[top])
	return top
}
