// Command peers measures Attune against the libraries that others use for the same work, side by
// side on one machine:
//
//	python3 -m venv .cache/peers
//	.cache/peers/bin/pip install -r loadtest/peers/requirements-kernels.txt
//	go run ./loadtest/peers kernels --write docs/measurements/kernels.md
//	.cache/peers/bin/pip install -r loadtest/peers/requirements-neural.txt
//	go run ./loadtest/peers neural --write docs/measurements/neural.md
//	go run ./loadtest/peers neural-serving --write docs/measurements/neural-serving.md
//
//	.cache/peers/bin/pip install -r loadtest/peers/requirements-index.txt
//	go run ./loadtest/peers index --write docs/measurements/vector.md
//	go run ./loadtest/peers filters --write docs/measurements/vector.md
//	go run ./loadtest/peers mapped --write docs/measurements/vector.md
//
//	python3 -m venv .cache/models
//	.cache/models/bin/pip install -r loadtest/peers/requirements-models.txt
//	go run ./loadtest/peers models --write docs/measurements/models.md
//
// Each side is a process of its own that answers jobs over a pipe: the peer's in Python (one file a
// peer), ours this program again. They take turns, round by round, so that whatever else the
// machine does meets both, and the figure is the median of the rounds' ratios.
//
// To add a peer: a subcommand here with its jobs in Go, a Python file with the same jobs, a
// requirements file. Start reading at kernels.go, then worker.go.
package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/alecthomas/kong"
)

type cli struct {
	Kernels kernelsCmd       `cmd:"" help:"Vector and matrix kernels against OpenBLAS."`
	Index   indexCmd         `cmd:"" help:"Vector search against faiss and hnswlib."`
	Filters filtersCmd       `cmd:"" help:"Our vector search under filters, without a peer."`
	Mapped  mappedCmd        `cmd:"" help:"Our vector search from mapped files, without a peer."`
	Open    openCmd          `cmd:"" hidden:"" help:"Open an index file; what index starts."`
	Models  modelsCmd        `cmd:"" help:"Training of recommendation models against implicit and SciPy."`
	Growth  growthCmd        `cmd:"" help:"Training time and memory by the size of the data, without a peer."`
	Fit     fitCmd           `cmd:"" hidden:"" help:"Train one model; what models and growth start."`
	Neural  neuralCmd        `cmd:"" help:"Training steps of neural networks against PyTorch."`
	Serve   serveCmd         `cmd:"" hidden:"" help:"Answer jobs on standard input; what the other commands start."`
	Serving neuralServingCmd `cmd:"" name:"neural-serving" help:"Requests to our own networks, one by one; no peer."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("peers"), kong.Description("Measure Attune against its peers."), kong.UsageOnError())
	k.BindTo(ctx, (*context.Context)(nil))
	k.FatalIfErrorf(k.Run())
}
