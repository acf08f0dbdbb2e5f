package reason

import (
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

func english() tongue {
	return tongue{
		tag: language.English, regions: display.English.Regions(),
		because: map[features.EventType]string{
			features.Purchase: "because you bought {}",
			features.View:     "because you looked at {}",
			features.Click:    "because you opened {}",
			features.Dwell:    "because you spent time on {}",
			features.CartAdd:  "because {} is in your cart",
			features.WishAdd:  "because {} is on your wish list",
			features.Like:     "because you liked {}",
			features.Rating:   "because you rated {}",
			features.Review:   "because you reviewed {}",
			features.Share:    "because you shared {}",
			features.Comment:  "because you commented on {}",
		},
		similar: map[features.EventType]string{
			features.Purchase: "similar to {}, which you bought",
			features.View:     "similar to {}, which you looked at",
			features.Click:    "similar to {}, which you opened",
			features.CartAdd:  "similar to {}, which you put into your cart",
			features.WishAdd:  "similar to {}, which is on your wish list",
			features.Like:     "similar to {}, which you liked",
		},
		sentences: map[pipeline.ReasonKind]string{
			pipeline.BecauseOf:   "because of your interest in {}",
			pipeline.BoughtWith:  "often bought with {}",
			pipeline.SimilarTo:   "similar to {}",
			pipeline.PopularIn:   "popular in {}",
			pipeline.Popular:     "popular now",
			pipeline.NewArrival:  "new in the shop",
			pipeline.NextAfter:   "often chosen after {}",
			pipeline.BuyAgain:    "you have bought it before",
			pipeline.ForInterest: "because you like {}",
		},
	}
}

func chinese() tongue {
	return tongue{
		tag: language.Chinese, regions: display.Chinese.Regions(),
		because: map[features.EventType]string{
			features.Purchase: "因为您购买过“{}”",
			features.View:     "因为您浏览过“{}”",
			features.Click:    "因为您点击过“{}”",
			features.Dwell:    "因为您仔细看过“{}”",
			features.CartAdd:  "因为您把“{}”加入了购物车",
			features.WishAdd:  "因为您收藏了“{}”",
			features.Like:     "因为您喜欢“{}”",
			features.Rating:   "因为您评价过“{}”",
			features.Review:   "因为您评论过“{}”",
			features.Share:    "因为您分享过“{}”",
			features.Comment:  "因为您评论过“{}”",
		},
		similar: map[features.EventType]string{
			features.Purchase: "与您购买过的“{}”相似",
			features.View:     "与您浏览过的“{}”相似",
			features.Click:    "与您点击过的“{}”相似",
			features.CartAdd:  "与您购物车中的“{}”相似",
			features.WishAdd:  "与您收藏的“{}”相似",
			features.Like:     "与您喜欢的“{}”相似",
		},
		sentences: map[pipeline.ReasonKind]string{
			pipeline.BecauseOf:   "因为您对“{}”感兴趣",
			pipeline.BoughtWith:  "常与“{}”一起购买",
			pipeline.SimilarTo:   "与“{}”相似",
			pipeline.PopularIn:   "在{}很受欢迎",
			pipeline.Popular:     "近期热销",
			pipeline.NewArrival:  "新品上架",
			pipeline.NextAfter:   "许多人看过“{}”之后选择了它",
			pipeline.BuyAgain:    "您曾经购买过",
			pipeline.ForInterest: "因为您喜欢“{}”",
		},
	}
}

func german() tongue {
	return tongue{
		tag: language.German, regions: display.German.Regions(),
		because: map[features.EventType]string{
			features.Purchase: "weil Sie „{}“ gekauft haben",
			features.View:     "weil Sie „{}“ angesehen haben",
			features.Click:    "weil Sie „{}“ geöffnet haben",
			features.Dwell:    "weil Sie sich „{}“ genauer angesehen haben",
			features.CartAdd:  "weil „{}“ in Ihrem Warenkorb liegt",
			features.WishAdd:  "weil „{}“ auf Ihrem Merkzettel steht",
			features.Like:     "weil Ihnen „{}“ gefällt",
			features.Rating:   "weil Sie „{}“ bewertet haben",
			features.Review:   "weil Sie „{}“ rezensiert haben",
			features.Share:    "weil Sie „{}“ geteilt haben",
			features.Comment:  "weil Sie „{}“ kommentiert haben",
		},
		similar: map[features.EventType]string{
			features.Purchase: "ähnlich wie „{}“, das Sie gekauft haben",
			features.View:     "ähnlich wie „{}“, das Sie angesehen haben",
			features.Click:    "ähnlich wie „{}“, das Sie geöffnet haben",
			features.CartAdd:  "ähnlich wie „{}“ in Ihrem Warenkorb",
			features.WishAdd:  "ähnlich wie „{}“ auf Ihrem Merkzettel",
			features.Like:     "ähnlich wie „{}“, das Ihnen gefällt",
		},
		sentences: map[pipeline.ReasonKind]string{
			pipeline.BecauseOf:   "wegen Ihres Interesses an „{}“",
			pipeline.BoughtWith:  "oft zusammen mit „{}“ gekauft",
			pipeline.SimilarTo:   "ähnlich wie „{}“",
			pipeline.PopularIn:   "beliebt in {}",
			pipeline.Popular:     "zurzeit beliebt",
			pipeline.NewArrival:  "neu im Sortiment",
			pipeline.NextAfter:   "oft nach „{}“ gewählt",
			pipeline.BuyAgain:    "haben Sie schon einmal gekauft",
			pipeline.ForInterest: "weil Ihnen {} gefällt",
		},
	}
}
