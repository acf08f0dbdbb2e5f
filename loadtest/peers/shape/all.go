package shape

import (
	"strings"

	"github.com/attune-rec/attune/features"
)

// All is every shape, public data first.
func All() []Shape {
	onSemicolon := func(line string) []string { return strings.Split(line, ";") }
	steps := map[string]features.EventType{"view.csv.xz": features.View, "cart.csv.xz": features.CartAdd, "buy.csv.xz": features.Purchase}
	out := []Shape{
		{Name: "retailrocket", About: "views, carts and purchases of a shop; the newest purchase", Ask: Next,
			read: funnel(steps, []string{"view.csv.xz", "cart.csv.xz", "buy.csv.xz"}, "retailrocket-mb")},
		{Name: "retailrocket-buys", About: "its purchases alone; the newest", Ask: Next, Chosen: true,
			read: funnel(steps, []string{"buy.csv.xz"}, "retailrocket-mb")},
		{Name: "dunnhumby", About: "a supermarket, product by product; the newest basket", Ask: Next, Chosen: true,
			read: sold("household_id", "product_id", "transaction_timestamp", "", nil, "dunnhumby-sample", "transactions_sample.csv.xz")},
		{Name: "dunnhumby-types", About: "the same by type of product; the last tenth of all", Ask: Coming, Chosen: true,
			read: sold("household_id", "product_id", "transaction_timestamp", "", column("product_id", "product_type", "dunnhumby-sample", "products.csv.xz"), "dunnhumby-sample", "transactions_sample.csv.xz")},
		{Name: "online-retail", About: "a gift shop; the newest basket", Ask: Next,
			read: sold("CustomerID", "StockCode", "InvoiceDate", "0.0", nil, "online-retail", "online_retail_sales.csv.xz")},
		{Name: "online-retail-coming", About: "the same; the last tenth of all", Ask: Coming,
			read: sold("CustomerID", "StockCode", "InvoiceDate", "0.0", nil, "online-retail", "online_retail_sales.csv.xz")},
		{Name: "lastfm", About: "artists in the order they were heard; the last", Ask: Next, read: lists(true, "s3rec-seq", "LastFM.txt.xz")},
		{Name: "beauty", About: "reviewed goods in order, short histories; the last", Ask: Next, Chosen: true, read: lists(true, "s3rec-seq", "Beauty.txt.xz")},
		{Name: "sports", About: "the same of another category", Ask: Next, Chosen: true, read: lists(true, "s3rec-seq", "Sports_and_Outdoors.txt.xz")},
		{Name: "groceries", About: "baskets of 169 goods as users; a fifth", Ask: Fifth, Chosen: true, read: baskets(4, onSemicolon, "groceries", "groceries_baskets.csv.xz")},
		{Name: "t10i4", About: "invented baskets with patterns; a fifth", Ask: Fifth, Chosen: true, read: baskets(4, strings.Fields, "fimi-t10i4d100k", "T10I4D100K.dat.xz")},
		{Name: "gowalla", About: "places visited, sparse; a fifth", Ask: Fifth, Chosen: true, read: lists(false, "gowalla", "train.txt.xz")},
		{Name: "citeulike", About: "articles saved, with words; a fifth", Ask: Fifth, Chosen: true, read: counted("mult.dat.xz", "citeulike-t", "cf-train-10-users.dat.xz")},
		{Name: "citeulike-plain", About: "the same without words", Ask: Fifth, Chosen: true, read: counted("", "citeulike-t", "cf-train-10-users.dat.xz")},
		{Name: "ratings", About: "films with stars and times; the newest good one", Ask: Good, read: stars(true, "ml-100k", "u.data.xz")},
		{Name: "ratings-untimed", About: "the same without times; a fifth", Ask: Fifth, read: stars(false, "ml-100k", "u.data.xz")},
		{Name: "films", About: "films in order of rating, dense; the last", Ask: Next, Chosen: true, read: lists(true, "ml-1m", "sasrec_ml-1m.txt.xz")},
	}
	return append(out, invented()...)
}
