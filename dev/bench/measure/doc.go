// Package measure is the arithmetic of the benchmarks: percentiles and ratios,
// what a batch's histories hold and cost, how many requests arrived when, and how
// much memory a process took. It measures any workflow and knows none of the
// shapes that are compared.
package measure
