// Command asm writes the assembly of package linalg with avo. One run writes one family of
// kernels for all instruction sets:
//
//	go run ./asm -family dot -out dot_amd64.s -stubs dot_amd64.go -pkg linalg
//
// Run it by `go generate` in models/linalg. Vector registers are named by hand, since the layout of
// the accumulators is the point of these kernels; general registers are left to avo.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mmcloughlin/avo/build"
)

func main() {
	families := map[string]func(isa){
		"dot":         dotFamily,
		"vector":      vectorFamily,
		"tile":        tileFamily,
		"int8":        int8Family,
		"sketch":      sketchFamily,
		"bits":        bitsFamily,
		"factor":      factorFamily,
		"elementwise": elementwiseFamily,
		"cell":        cellFamily,
	}
	family := flag.String("family", "", "kernels to write: dot, vector, tile, factor, int8, sketch, bits, elementwise or cell")
	flag.Parse()
	emit, ok := families[*family]
	if !ok {
		fmt.Fprintf(os.Stderr, "asm: unknown family %q\n", *family)
		os.Exit(2)
	}
	emit(avx512)
	emit(avx2)
	build.Generate()
}
