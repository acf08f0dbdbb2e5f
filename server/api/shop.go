package api

import "github.com/attune-rec/attune/features"

// shopOf is the shop a request names, or the default one.
func shopOf(name string) (features.ShopID, error) {
	if name == "" {
		return features.DefaultShop, nil
	}
	shop := features.ShopID(name)
	return shop, shop.Validate()
}

// limitOf is the limit a request names, or the default.
func limitOf(limit, def int32) int {
	if limit == 0 {
		return int(def)
	}
	return int(limit)
}
