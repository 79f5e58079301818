// Package gateway serves Volley over HTTP: the batch calls of Bird, Sinch, IMKIT and
// Bluesky as their own clients know them, and Volley's own API for batches of every
// dialect.
//
// It knows who may do what (tenants by their keys, people by their roles), bounds what a caller may cost,
// and gives every answer the shape of the dialect that asked. It holds nothing that
// has to survive: a submit is answered once Temporal has the batch, and any number
// of gateways may run side by side. It reaches Temporal only through Batches.
package gateway
