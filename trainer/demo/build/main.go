// Command build rebuilds the demo data set of Attune, online_retail.parquet,
// from two partial CSV copies of the UCI data set "Online Retail" (Daqing
// Chen, 2015, https://doi.org/10.24432/C5BW33, CC BY 4.0):
//
//   - the sales file has the invoice number and the stock code, but no row
//     with a negative quantity and no customer 0;
//   - the all-rows file has every row in the order of the original, but
//     neither invoice number nor stock code.
//
// Sales are aligned row by row, and the code of every other row is looked up
// by its description. What the two files do not decide stays empty. The
// output depends on the input bytes alone.
//
//	go run ./trainer/demo/build --sales F --all F --out trainer/demo/online_retail.parquet
//
// Start reading at rebuild in rebuild.go. The command imports nothing of
// Attune.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "build:", err)
		}
		os.Exit(1)
	}
}

// run parses the flags, rebuilds the file and prints the counts to stdout.
// Progress goes to stderr.
func run(args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("build", flag.ContinueOnError)
	fs.SetOutput(stderr)
	sales := fs.String("sales", "", "`file` with the sales rows: CSV, optionally .xz")
	all := fs.String("all", "", "`file` with all rows but without invoice and code: CSV, optionally .xz")
	out := fs.String("out", "", "Parquet `file` to write; replaced only when everything went well")
	if err := fs.Parse(args); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"sales", *sales}, {"all", *all}, {"out", *out}} {
		if f.value == "" {
			return fmt.Errorf("flag --%s is missing: name a file", f.name)
		}
	}

	log := slog.New(slog.NewTextHandler(stderr, nil))
	rows, counts, err := rebuild(*sales, *all, log)
	if err != nil {
		return err
	}
	size, err := writeFile(*out, rows)
	if err != nil {
		return err
	}
	log.Info("written", "file", *out, "rows", len(rows), "bytes", size)
	return counts.print(stdout)
}
