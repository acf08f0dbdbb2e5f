package app

import (
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/attune-rec/attune/server/api"
	"github.com/attune-rec/attune/server/kafka"
	"github.com/attune-rec/attune/server/rpc"
)

// kafkaHealth is the service that health checks of the brokers ask for: answers
// do not need them, so that the server as a whole is well without.
const kafkaHealth = "kafka"

// connector collects from Kafka where there is one, through the services' door.
func (s *Server) connector(services rpc.Services) (err error) {
	if !s.config.Kafka.Configured() {
		return nil
	}
	validate, err := rpc.NewValidator()
	if err != nil {
		return err
	}
	health := func(well bool) {
		status := healthpb.HealthCheckResponse_NOT_SERVING
		if well {
			status = healthpb.HealthCheckResponse_SERVING
		}
		s.health.SetServingStatus(kafkaHealth, status)
	}
	health(false)
	s.kafka, err = kafka.New(kafka.Options{
		Flags: s.config.Kafka, Grace: s.config.Grace, Health: health, Logger: s.log, Registerer: s.metrics,
		Door: &api.Rows{
			Events: s.events, Catalog: services.Catalog, Users: services.Users,
			Morgue: s.store, Validate: validate, Audit: s.store.Audit, Actor: "kafka",
		},
	})
	if err != nil {
		return err
	}
	s.closing(s.kafka.Close)
	return nil
}
