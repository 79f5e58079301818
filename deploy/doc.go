// Package deploy holds what runs beside Volley where docker-compose.yml runs it: its
// configuration, Temporal's, alert rules for Prometheus and a dashboard for Grafana. It is a
// module of its own, so that only the tests of the rules need Prometheus.
package deploy
