package main

import "path/filepath"

// task is one data set with its split, and what is known of it.
type task struct {
	name      string
	data      string // folder
	args      []string
	metrics   []string
	models    []string // each by itself, beside the default recipe
	tuned     []string // "name=kind" with parameters chosen for this data set
	params    []string // of those
	published string
}

// file marks an argument that is a file of the task's folder.
const file = "@"

func (t *task) arguments(root string) []string {
	args := []string{"evaluate"}
	for _, a := range t.args {
		if len(a) > 0 && a[:1] == file {
			a = filepath.Join(root, t.data, a[1:])
		}
		args = append(args, a)
	}
	return args
}

// tasks are the data sets of the table, the small ones first.
func tasks() []task {
	return []task{
		{
			name: "ml-100k, last positive", data: "ml-100k",
			args:    []string{"--train", "@lastpos_train.tsv.xz", "--test", "@lastpos_test.tsv.xz"},
			metrics: []string{"hr@10", "ndcg@10"}, models: []string{"popular", "item-cf", "path-knn", "ials", "ease"},
			published: "gorse .1476 / .0798",
		},
		{
			name: "ncf-ml-1m, 99 negatives", data: "ncf-ml-1m",
			args:    []string{"--train", "@ml-1m.train.tsv.xz", "--test", "@ml-1m.test.rating.xz", "--negatives", "@ml-1m.test.negative.xz"},
			metrics: []string{"hr@10", "ndcg@10"}, models: []string{"popular", "user-cf", "item-cf", "ials", "ease"},
			tuned: []string{"rp3beta=path-knn"}, params: []string{"rp3beta.preset=rp3beta"},
			published: "MF .7294 / .4523, NeuMF .6725 / .4011, user CF .6705 / .3908, item CF .6596 / .3900, RP3beta .6715 / .3991",
		},
		{
			name: "movielens1m-m2", data: "movielens1m-m2",
			args:    []string{"--format", "adjacency", "--train", "@train.txt.xz", "--test", "@test.txt.xz"},
			metrics: []string{"recall@20", "ndcg@20"}, models: []string{"popular", "item-cf", "ials", "ease"},
			published: "UltraGCN .2787 / .2642, MF-BPR .2532 / .2440",
		},
		{
			name: "citeulike-t, P=10, words only", data: "citeulike-t",
			args:    []string{"--format", "counted", "--train", "@cf-train-10-users.dat.xz", "--test", "@cf-test-10-users.dat.xz", "--content", "@mult.dat.xz"},
			metrics: []string{"recall@50", "recall@300"}, models: []string{"popular", "path-knn", "content", "content-knn"},
			published: "item kNN with contents .2311 / .4205, contents alone .1198 / .2863",
		},
		{
			name: "gowalla", data: "gowalla",
			args:    []string{"--format", "adjacency", "--train", "@train.txt.xz", "--test", "@test.txt.xz"},
			metrics: []string{"recall@20", "ndcg@20"}, models: []string{"popular", "item-cf", "path-knn", "low-pass", "ials", "bpr"},
			published: "SimpleX .1872 / .1557, UltraGCN .1862 / .1580, item CF .1570 / .1214, MF-BPR .1627 / .1378",
		},
	}
}
