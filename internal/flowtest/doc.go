// Package flowtest runs batches in Temporal's test environment against a scripted
// provider. Only tests use it.
package flowtest
