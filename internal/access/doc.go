// Package access says who a person is and what that person may do: a Book knows the
// people of the configuration by their keys, or by the name that a trusted proxy gives,
// and a table says which role each route of the gateway needs. The gateway and the
// console both ask it, so that nobody may do at one what the other refuses.
//
// It knows nothing of tenants' keys, keeps no sessions and slows nobody down.
package access
