package main

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// decision says how the code of a row that is not in the sales file was
// found, or why it was left empty.
type decision int

const (
	onlyCode     decision = iota // the description has been sold under one code
	letterCase                   // under one code, spelled in upper and lower case
	spelling                     // only one of its codes is written with these blanks
	sellingPrice                 // only one of its codes was ever sold at this price
	ownPurchase                  // the customer has bought only one of its codes before
	ambiguous                    // several codes are left
	neverPriced                  // found in sales, but only on unpriced stock notes
	unknownText                  // the description is not in the sales file
	noText                       // no description
	decisionCount
)

var decisionNames = [decisionCount]string{
	onlyCode:     "one code for the description",
	letterCase:   "one code, two letter cases",
	spelling:     "exact spelling of the description",
	sellingPrice: "price",
	ownPurchase:  "earlier purchase of the customer",
	ambiguous:    "ambiguous",
	neverPriced:  "stock note, never sold at a price",
	unknownText:  "description not in the sales file",
	noText:       "no description",
}

func (d decision) String() string { return decisionNames[d] }

// found says whether the decision gave a code.
func (d decision) found() bool { return d <= ownPurchase }

// codeBook knows under which codes each description has been sold at a
// price. Rows without a price do not count: their text may be a note such as
// "damaged", written over the name of any product. Descriptions are compared
// without outer blanks, codes without regard to letter case.
type codeBook struct {
	byText map[string][]*candidate  // in order of first sale
	unsold map[string]bool          // descriptions seen only without a price
	byCode map[[2]string]*candidate // by text and folded code
}

// candidate is one code of one description.
type candidate struct {
	spellings map[string]int     // code as written: sales rows
	texts     map[string]bool    // description with its blanks
	prices    map[float64]bool   // unit prices it was sold at
	buyers    map[string][]offer // customer: purchases
}

// offer is one purchase of a candidate.
type offer struct {
	at    time.Time
	price float64
}

// newCodeBook indexes sales by description.
func newCodeBook(sales []Row) *codeBook {
	b := &codeBook{byText: map[string][]*candidate{}, unsold: map[string]bool{}, byCode: map[[2]string]*candidate{}}
	for i := range sales {
		b.add(&sales[i])
	}
	return b
}

func (b *codeBook) add(r *Row) {
	text := strings.TrimSpace(r.Description)
	if text == "" {
		return
	}
	if r.UnitPrice <= 0 {
		if len(b.byText[text]) == 0 {
			b.unsold[text] = true
		}
		return
	}
	delete(b.unsold, text)
	key := [2]string{text, strings.ToUpper(r.StockCode)}
	c := b.byCode[key]
	if c == nil {
		c = &candidate{
			spellings: map[string]int{}, texts: map[string]bool{}, prices: map[float64]bool{}, buyers: map[string][]offer{},
		}
		b.byCode[key] = c
		b.byText[text] = append(b.byText[text], c)
	}
	c.spellings[r.StockCode]++
	c.texts[r.Description] = true
	c.prices[r.UnitPrice] = true
	if r.CustomerID != "" {
		c.buyers[r.CustomerID] = append(c.buyers[r.CustomerID], offer{r.InvoiceDate, r.UnitPrice})
	}
}

// lookup finds the code of a row by its description. Among several codes the
// rules are asked in order, each on what the one before left; a rule that
// would leave nothing is passed over. The code is empty unless exactly one
// candidate is left.
func (b *codeBook) lookup(r *Row) (string, decision) {
	text := strings.TrimSpace(r.Description)
	cs := b.byText[text]
	switch {
	case text == "":
		return "", noText
	case b.unsold[text]:
		return "", neverPriced
	case len(cs) == 0:
		return "", unknownText
	case len(cs) == 1 && len(cs[0].spellings) == 1:
		return cs[0].code(), onlyCode
	case len(cs) == 1:
		return cs[0].code(), letterCase
	}
	rules := []struct {
		how  decision
		keep func(c *candidate) bool
	}{
		{spelling, func(c *candidate) bool { return c.texts[r.Description] }},
		{sellingPrice, func(c *candidate) bool { return c.prices[r.UnitPrice] }},
		{ownPurchase, func(c *candidate) bool { return c.bought(r, true) }},
		{ownPurchase, func(c *candidate) bool { return c.bought(r, false) }},
	}
	for _, rule := range rules {
		var left []*candidate
		for _, c := range cs {
			if rule.keep(c) {
				left = append(left, c)
			}
		}
		if len(left) == 1 {
			return left[0].code(), rule.how
		}
		if len(left) > 0 {
			cs = left
		}
	}
	return "", ambiguous
}

// code is the spelling with the most sales rows; of equals, the first in
// byte order, which is upper case.
func (c *candidate) code() string {
	best := ""
	for _, s := range slices.Sorted(maps.Keys(c.spellings)) {
		if best == "" || c.spellings[s] > c.spellings[best] {
			best = s
		}
	}
	return best
}

// bought says whether the customer of r bought c no later than r, and if
// samePrice is set, for the unit price of r.
func (c *candidate) bought(r *Row, samePrice bool) bool {
	if r.CustomerID == "" {
		return false
	}
	return slices.ContainsFunc(c.buyers[r.CustomerID], func(o offer) bool {
		return !o.at.After(r.InvoiceDate) && (!samePrice || o.price == r.UnitPrice)
	})
}
