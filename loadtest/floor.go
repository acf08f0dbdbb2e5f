package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/attune-rec/attune/loadtest/floor"
	"github.com/attune-rec/attune/loadtest/traffic"
)

type floorCmd struct {
	GRPC  string `name:"grpc" default:"127.0.0.1:9090" help:"Address of gRPC; this machine's only."`
	Admin string `default:"127.0.0.1:9100" help:"Address of metrics and profiles; this machine's only."`
	Limit int    `default:"10" help:"Items an answer."`
}

// Run implements the command.
func (c *floorCmd) Run(ctx context.Context) error {
	for _, address := range []string{c.GRPC, c.Admin} {
		if err := traffic.CheckLoopback(address); err != nil {
			return err
		}
	}
	metrics := prometheus.NewRegistry()
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "attune_rpc_total", Help: "Calls that ended, by method and status code."}, []string{"method", "code"})
	metrics.MustRegister(calls, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	listener, err := net.Listen("tcp", c.GRPC)
	if err != nil {
		return err
	}
	server := floor.New(c.Limit, calls)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	admin := &http.Server{Addr: c.Admin, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(listener) }()
	go func() { ended <- admin.ListenAndServe() }()
	fmt.Fprintf(os.Stderr, "the floor is at %s, its metrics at %s; it takes recommend and similar\n", c.GRPC, c.Admin)
	select {
	case <-ctx.Done():
		server.Stop()
		return admin.Close()
	case err := <-ended:
		server.Stop()
		return errors.Join(err, admin.Close())
	}
}
