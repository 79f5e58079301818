// Package encryption seals what stands outside of this process with the keys of one
// keyset: the payloads in Temporal and the objects of the store.
//
// A keyset is Tink's (github.com/tink-crypto/tink-go), in its cleartext JSON, which tinkey
// reads and writes too. Its keys are AEADs with Tink's prefix, by which what is sealed names
// the key that opens it. One key is the primary: it seals. All enabled keys open.
//
// Nothing here prints key material: no error, and no way of formatting a Keyset.
package encryption
