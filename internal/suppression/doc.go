// Package suppression knows in memory who wants no messages, for whoever is about to accept
// or to send some. The list is read from the index and followed every half second. One that
// could not be read for two seconds is unknown, and messages of tenants that have a list
// wait until it can.
package suppression
