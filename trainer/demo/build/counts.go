package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// counts is what a rebuild saw, for its log and for the tests.
type counts struct {
	sales, all int // rows of the two files; every sales row has been matched

	texts, manyCodes int                        // descriptions of the sales file, "" among them; those with several codes
	codesOf          map[string]map[string]bool // description: its codes as written

	// Rows with a negative quantity and a customer, by the number of codes
	// that the sales file has for their description.
	returns, returnsNone, returnsOne, returnsMany int

	byDecision      [decisionCount]int // rows outside the sales file
	byDecisionBuyer [decisionCount]int // of these, rows with a customer

	negative, credits, surrogates                            int // surrogates: credits with a customer
	emptyInvoice, emptyCode, emptyDescription, emptyCustomer int
}

// newCounts counts the descriptions of the sales, sold at a price or not.
func newCounts(sales []Row, all int) *counts {
	c := &counts{sales: len(sales), all: all, codesOf: map[string]map[string]bool{}}
	for i := range sales {
		text := strings.TrimSpace(sales[i].Description)
		if c.codesOf[text] == nil {
			c.codesOf[text] = map[string]bool{}
		}
		c.codesOf[text][sales[i].StockCode] = true
	}
	c.texts = len(c.codesOf)
	for _, codes := range c.codesOf {
		if len(codes) > 1 {
			c.manyCodes++
		}
	}
	return c
}

// joined notes how the code of a row outside the sales file was decided.
func (c *counts) joined(r *Row, how decision) {
	c.byDecision[how]++
	if r.CustomerID == "" {
		return
	}
	c.byDecisionBuyer[how]++
	if r.Quantity >= 0 {
		return
	}
	c.returns++
	switch len(c.codesOf[strings.TrimSpace(r.Description)]) {
	case 0:
		c.returnsNone++
	case 1:
		c.returnsOne++
	default:
		c.returnsMany++
	}
}

// wrote notes a finished row.
func (c *counts) wrote(r *Row) {
	if r.Quantity < 0 {
		c.negative++
	}
	if r.isCredit() {
		c.credits++
		if r.InvoiceNo != "" {
			c.surrogates++
		}
	}
	for _, cell := range []struct {
		value string
		count *int
	}{
		{r.InvoiceNo, &c.emptyInvoice}, {r.StockCode, &c.emptyCode},
		{r.Description, &c.emptyDescription}, {r.CustomerID, &c.emptyCustomer},
	} {
		if cell.value == "" {
			*cell.count++
		}
	}
}

// print writes the counts as a table: what, rows, and of these rows with a
// customer where that is known.
func (c *counts) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(what string, n int) { fmt.Fprintf(w, "%s\t%d\t\t\n", what, n) }
	both := func(what string, n, buyer int) { fmt.Fprintf(w, "%s\t%d\t%d\t\n", what, n, buyer) }

	fmt.Fprint(w, "\trows\twith customer\t\n")
	line("sales file", c.sales)
	line("all-rows file", c.all)
	line("matched in order", c.sales)
	line("left to join by description", c.all-c.sales)
	for d := range decisionCount {
		prefix := "  code empty: "
		if d.found() {
			prefix = "  code found by "
		}
		both(prefix+d.String(), c.byDecision[d], c.byDecisionBuyer[d])
	}
	line("descriptions in the sales file", c.texts)
	line("  of these with several codes", c.manyCodes)
	both("negative quantity", c.negative, c.returns)
	for _, n := range []struct {
		what string
		rows int
	}{
		{"  description with one code in the sales file", c.returnsOne},
		{"  description with several", c.returnsMany},
		{"  description not there", c.returnsNone},
	} {
		fmt.Fprintf(w, "%s\t\t%d\t\n", n.what, n.rows)
	}
	both("credits: negative quantity and a price", c.credits, c.surrogates)
	line("empty invoice", c.emptyInvoice)
	line("empty code", c.emptyCode)
	line("empty description", c.emptyDescription)
	line("empty customer", c.emptyCustomer)
	return w.Flush()
}
