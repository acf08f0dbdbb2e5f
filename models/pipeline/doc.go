// Package pipeline answers requests: sources propose, filters narrow, a ranker
// scores, selectors order and cut. It does no I/O and runs in the server on
// live state and in the trainer on replayed state.
//
// A request as a tree of files:
//
//	pipeline.go             Answer, from top to bottom
//	├─ eligible.go          what may be sold, is allowed and is not excluded; asked.go: what the request asks for
//	├─ filter/              each narrows that set: hidden, seen, page, age, price, category, language
//	├─ ask.go               sources within the budget, remote ones beside the request
//	│  └─ source/           factors, interest, similar, related, bought, users, popular, new, recent, again
//	├─ work.go              distinct candidates that the set has and every filter keeps
//	├─ rank/                learnt, weighted, model, source
//	├─ steer.go, rule/      the shop's rules: filters with the set, boosts after the ranker, pins and quotas last
//	├─ selector/            caps, mmr, dpp, fatigue, sponsored, explore
//	└─ reason.go            why each stands there: the ranker, its source, other sources
//
// What a request is answered with is data, a models.Recipe; recipes.go has the
// default ones and kit puts a recipe and a release's models together.
//
// Three things hold whatever a component does. Nothing leaves that the eligible
// set or a filter refuses: candidates are looked up in it again when they are
// merged, and what a selector invents is dropped. A source, ranker or selector
// that fails, panics or is late costs the answer its part, and Answer.Degraded
// says so; a filter that fails costs the answer, and rules that fail to filter
// leave it empty. And the order is fixed: equal scores fall by row.
//
// A steady request allocates nothing here: memory is kept in a pool by
// pipeline.
//
// Start reading at contract.go, which says what each component owes, then at
// pipeline.go.
package pipeline
