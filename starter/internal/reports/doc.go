// Package reports takes delivery reports in: it finds the batch of each, gathers those of
// a batch for a while, and signals the workflow that has their messages. What comes after
// its batch has ended it keeps in the store.
package reports
