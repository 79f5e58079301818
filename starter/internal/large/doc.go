// Package large reads a large batch: what the store, its running segments and its own
// workflow know of its messages is put together here into rows, pages and a live status,
// with the reports laid over it that came late.
package large
