// Package latereports brings delivery reports of a batch to where they belong when no
// run of the batch can take them.
package latereports
