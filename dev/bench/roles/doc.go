// Package roles is what the benchmarks start in processes of their own: a bare loop,
// the workers of bare workflows, and Volley's worker, each as a Role that Run plays.
// It holds no Temporal server, so that the memory of such a process is the worker's.
package roles
