// Package contract holds what stands in histories: the names under which Temporal
// knows Volley's workflows, activities, signals, queries and updates, and their
// inputs, results and arguments. Whoever starts, serves or asks a workflow needs
// only this package of it.
package contract
